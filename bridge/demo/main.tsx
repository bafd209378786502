import { render } from "preact";
import { App } from "./app.js";
import { showKeptTheme } from "./parts/theme.js";
import "./style/base.css";
import "./style/parts.css";
import "./style/chat.css";
import "./style/message.css";
import "./style/inspector.css";

showKeptTheme();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
