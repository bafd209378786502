// What the build makes of imports that are no code.

declare module "*.svg" {
  /** Where it is served. */
  const address: string;
  // biome-ignore lint/style/noDefaultExport: that is how the build gives it.
  export default address;
}

declare module "*.css";
