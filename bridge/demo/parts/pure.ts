// A component that is drawn again only when something it was given has changed.

import { Component, type ComponentChild, type ComponentType } from "preact";

export function pure<Props extends object>(draw: (props: Props) => ComponentChild): ComponentType<Props> {
  return class extends Component<Props> {
    override shouldComponentUpdate(next: Readonly<Props>): boolean {
      const before = new Map<string, unknown>(Object.entries(this.props));
      const after = Object.entries(next);
      return after.length !== before.size || after.some(([name, value]) => before.get(name) !== value);
    }

    override render(props: Props): ComponentChild {
      return draw(props);
    }
  };
}
