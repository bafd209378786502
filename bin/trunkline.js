#!/usr/bin/env node
// Written for any Node that reads ES modules, so that an old one gets a sentence instead of a syntax error.
var version = process.versions.node.split(".");
var major = Number(version[0]);
var minor = Number(version[1]);

if (major < 22 || (major === 22 && minor < 12)) {
  console.error("trunkline needs Node 22.12 or newer; this is Node " + process.versions.node + ".");
  process.exit(1);
} else {
  import("../dist/src/cli.js").catch(function (error) {
    console.error(error);
    process.exit(1);
  });
}
