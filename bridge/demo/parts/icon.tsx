// The page's own few icons: 20 by 20, strokes in the colour of the text.

const PATHS = {
  back: "M12.5 4.5 7 10l5.5 5.5",
  plus: "M10 4v12M4 10h12",
  close: "m5 5 10 10M15 5 5 15",
  people:
    "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm-5 7c0-2.8 2.2-5 5-5s5 2.2 5 5M13 4a2.8 2.8 0 0 1 0 5.3M14.500 11.800c1.900.6 3 2.400 3 4.700",
  pulse: "M2.500 10h3.500l2.500-6 3.500 12 2.500-6h3",
  send: "M3.500 10 17 3.500 13 17l-3-5.500-6.500-1.500ZM10 11.500l3-3.500",
  clip: "m15.500 9.500-5.800 5.800a3.500 3.500 0 0 1-5-5l6.300-6.300a2.300 2.300 0 0 1 3.300 3.300l-6.200 6.200a1.100 1.100 0 0 1-1.600-1.600l5.500-5.500",
  reply: "M8 5 3.500 9.500 8 14M3.500 9.500H12a4.500 4.500 0 0 1 4.500 4.500v1",
  edit: "m12.500 4.500 3 3L7 16H4v-3l8.500-8.500Z",
  trash: "M4 5.500h12M8 5.500V4h4v1.500M5.500 5.500l.7 10.500h7.600l.7-10.500",
  smile:
    "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM7.300 11.500c.6 1 1.500 1.700 2.700 1.700s2.100-.7 2.700-1.700M7.700 8v.1M12.300 8v.1",
  sun: "M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM10 2v1.500M10 16.500V18M2 10h1.500M16.500 10H18M4.300 4.300l1.100 1.100M14.600 14.600l1.100 1.100M4.300 15.700l1.100-1.100M14.600 5.400l1.100-1.100",
  moon: "M16.500 12A7 7 0 0 1 8 3.500 7 7 0 1 0 16.500 12Z",
  system: "M3 4.500h14v9H3zM7 16.500h6M10 13.500v3",
  leave: "M8 3.500H4v13h4M12.500 6.500 16 10l-3.500 3.500M16 10H8",
  down: "m5 8 5 5 5-5",
  retry: "M15.500 7A6.200 6.200 0 1 0 16.200 11M15.700 3v4.200h-4.200",
  picture: "M3.500 4.500h13v11h-13zM3.500 13l3.500-3.500 3 3 2.500-2 4 3.500M12.500 8v.1",
  file: "M5.500 3h6l3.500 3.500V17h-9.500zM11.500 3v3.500H15",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export interface IconButtonProps {
  readonly icon: IconName;
  /** What it does. */
  readonly label: string;
  readonly onClick: () => void;
  readonly pressed?: boolean;
  readonly class?: string;
}

export function IconButton({ icon, label, onClick, pressed, class: name = "" }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${name}`}
      aria-label={label}
      title={label}
      onClick={onClick}
      {...(pressed !== undefined && { "aria-pressed": pressed })}
    >
      <Icon name={icon} />
    </button>
  );
}
