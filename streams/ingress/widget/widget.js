// Sluice's chat widget: one script tag, no dependency, nothing of an answer ever parsed as markup.
//
//   <script src="https://edge.example/widget.js" data-session="TOKEN" async></script>
//   <script src="https://edge.example/widget.js" data-session-url="/chat-session" async></script>
//   <script src="https://edge.example/widget.js" data-key="PUBLIC-SITE-KEY" async></script>
//
// data-session: a token the page was served with. data-session-url: an address of the site that answers a POST with
// {"session": TOKEN}. data-key: a key of scope `customer`, for chats without a name. data-title: the chat's heading.
// window.SluiceChat: open(), close(), reset(). Call reset() when the visitor signs in or out.
(() => {
  "use strict";

  const script = document.currentScript;
  const edge = new URL(script.src).origin;
  const { session: givenSession, sessionUrl, key: siteKey, title = "Chat with us" } = script.dataset;

  const STORE = `sluice-chat:${edge}`;
  const MAX_LINES = 100;
  const MAX_TEXT = 8000; // characters, as the edge takes
  const MAX_BUFFER = 1 << 20; // characters of one event
  const SILENCE = 45_000; // ms without a heartbeat after which a stream counts as broken
  const STATUS = {
    received: "Message received.",
    looking: "Looking it up…",
    working: "Working on it…",
    checking: "Checking the answer…",
  };
  const WITH_A_PERSON = "A colleague will answer you here.";

  // -- what is remembered, for this tab

  const empty = () => ({ session: null, given: null, last: null, note: "", lines: [] });

  function load() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(STORE));
      if (kept && kept.given === (givenSession || null)) return { ...empty(), ...kept };
    } catch {
      // no storage, or not ours: begin anew
    }
    return { ...empty(), session: givenSession || null, given: givenSession || null };
  }

  function save() {
    state.lines = state.lines.slice(-MAX_LINES);
    try {
      sessionStorage.setItem(STORE, JSON.stringify(state));
    } catch {
      // private mode or full: the chat lives as long as the page
    }
  }

  let state = load();
  let pending = null; // the ticket that is waited for
  let reading = null; // AbortController of the open stream

  // -- what is shown

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    made.append(...children);
    return made;
  }

  const host = element("div", { id: "sluice-chat" });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet(); // an object, not an element: no policy needs to allow inline styles
  sheet.replaceSync(styles());
  root.adoptedStyleSheets = [sheet];

  const launcher = element(
    "button",
    { type: "button", class: "launcher", "aria-expanded": "false", "aria-controls": "panel", "aria-haspopup": "dialog" },
    title,
  );
  const closer = element("button", { type: "button", class: "close", "aria-label": "Close chat" }, "×");
  const log = element("ol", { class: "log", role: "log", "aria-live": "polite", "aria-label": "Messages", tabindex: "0" });
  const status = element("p", { class: "status", role: "status" });
  const field = element("textarea", { id: "text", rows: "2", maxlength: String(MAX_TEXT), "aria-describedby": "hint" });
  const form = element(
    "form",
    {},
    element("label", { for: "text" }, "Your message"),
    field,
    element(
      "div",
      { class: "foot" },
      element("span", { id: "hint" }, "Enter sends, Shift+Enter starts a new line"),
      element("button", { type: "submit" }, "Send"),
    ),
  );
  const panel = element(
    "section",
    { id: "panel", class: "panel", role: "dialog", "aria-labelledby": "title", "aria-describedby": "disclosure" },
    element("header", {}, element("h2", { id: "title" }, title), closer),
    element(
      "p",
      { id: "disclosure", class: "disclosure" },
      "You are chatting with an AI assistant. It answers from our help pages and can make mistakes. ",
      "Ask for a person at any time.",
    ),
    log,
    status,
    form,
  );
  panel.hidden = true;
  root.append(panel, launcher);

  function open() {
    panel.hidden = false;
    launcher.hidden = true;
    launcher.textContent = title;
    launcher.setAttribute("aria-expanded", "true");
    scrollDown();
    field.focus();
  }

  function close() {
    panel.hidden = true;
    launcher.hidden = false;
    launcher.setAttribute("aria-expanded", "false");
    launcher.focus();
  }

  function say(text) {
    if (status.textContent !== text) status.textContent = text;
  }

  function scrollDown() {
    log.scrollTop = log.scrollHeight;
  }

  function show(line) {
    const item = element("li", { class: line.by === "you" ? "mine" : "theirs" });
    item.append(element("span", { class: "who" }, WHO[line.by]), element("p", { class: "text" }, line.text));
    if (line.sources && line.sources.length) item.append(sourcesOf(line.sources));
    log.append(item);
    if (panel.hidden && line.by !== "you") launcher.textContent = `${title} (new message)`;
    scrollDown();
    return item;
  }

  const WHO = { you: "You", ai: "AI assistant", person: "Our team", note: "Note" };

  function sourcesOf(sources) {
    const list = element("ul", {});
    for (const source of sources) list.append(element("li", {}, linkTo(source)));
    return element("div", { class: "sources" }, element("span", {}, "Sources"), list);
  }

  function linkTo({ title: name, url }) {
    if (!isHttps(url)) return String(name);
    return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, String(name));
  }

  function isHttps(url) {
    try {
      return new URL(url).protocol === "https:";
    } catch {
      return false;
    }
  }

  function add(line) {
    state.lines.push(line);
    save();
    return show(line);
  }

  // -- the session

  class Ended extends Error {}

  async function session() {
    if (!state.session) {
      state.session = sessionUrl ? await ask(sessionUrl, {}) : await ask(`${edge}/v1/chat/sessions`, withKey());
      save();
    }
    return state.session;
  }

  function withKey() {
    if (!siteKey) throw new Ended("This chat has ended. Please reload the page.");
    return { Authorization: `Bearer ${siteKey}` };
  }

  async function ask(url, headers) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: "{}",
    });
    if (!answer.ok) throw new Error(`no session: ${answer.status}`);
    return (await answer.json()).session;
  }

  // A request with the session; an expired one is renewed once, where the page says how.
  async function withSession(path, options, again = true) {
    const token = await session();
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    const answer = await fetch(edge + path, { cache: "no-store", credentials: "omit", ...options, headers });
    if (answer.status !== 401 || !again) return answer;
    if (state.session === token) state.session = null;
    return withSession(path, options, false);
  }

  function reset() {
    if (reading) reading.abort();
    state = empty();
    pending = null;
    log.replaceChildren();
    say("");
    save();
  }

  // -- messages out

  async function send(text, id, item) {
    say("Sending…");
    try {
      const answer = await withSession("/v1/chat/messages", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text, message_id: id }),
      });
      if (!answer.ok) throw new Error(`refused: ${answer.status}`);
      const { ticket_id: ticket } = await answer.json();
      if (settled.delete(ticket)) {
        say(state.note);
      } else {
        pending = ticket;
        say(STATUS.received);
      }
      follow();
    } catch (error) {
      say("");
      offerAgain(text, id, item, error instanceof Ended ? error.message : "This message was not sent.");
    }
  }

  const settled = new Set(); // answered before the edge's receipt was read

  function offerAgain(text, id, item, why) {
    const again = element("button", { type: "button" }, "Send again");
    const failed = element("p", { class: "failed", role: "alert" }, `${why} `, again);
    again.addEventListener("click", () => {
      failed.remove();
      field.focus();
      send(text, id, item);
    });
    item.append(failed);
    scrollDown();
  }

  function newId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function submit() {
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    send(text, newId(), add({ by: "you", text }));
  }

  // -- events in

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // Follow the conversation for as long as the page lives: one stream at a time, each from where the last one ended.
  async function follow() {
    if (reading) return;
    const mine = (reading = new AbortController());
    for (let failures = 0; !mine.signal.aborted; ) {
      try {
        const took = await readStream(mine);
        failures = took ? 0 : failures + 1;
      } catch (error) {
        if (error instanceof Ended) {
          say(error.message);
          break;
        }
        failures += 1;
      }
      if (mine.signal.aborted) break;
      if (failures > 1) say("Connection lost. Connecting again…");
      await pause(Math.min(500 * 2 ** failures, 15_000) * (0.5 + Math.random() / 2));
    }
    if (reading === mine) reading = null;
  }

  // One stream, to its end; whether it was opened at all.
  async function readStream(mine) {
    const quiet = new AbortController();
    mine.signal.addEventListener("abort", () => quiet.abort(), { signal: quiet.signal });
    const headers = { Accept: "text/event-stream", ...(state.last && { "Last-Event-ID": state.last }) };
    let timer = setTimeout(() => quiet.abort(), SILENCE);
    try {
      const answer = await withSession("/v1/chat/events", { headers, signal: quiet.signal });
      if (answer.status === 401 || answer.status === 404) throw new Ended("This chat has ended. Please reload the page.");
      if (!answer.ok) return false;
      say(pending ? STATUS.received : state.note);
      const parse = parser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => quiet.abort(), SILENCE);
        for (const event of parse(part.value)) if (!mine.signal.aborted) take(event);
      }
      return true;
    } finally {
      clearTimeout(timer);
      quiet.abort();
    }
  }

  // Server-sent events out of pieces of text.
  function parser() {
    let rest = "";
    return (piece) => {
      const blocks = (rest + piece).split("\n\n");
      rest = blocks.pop();
      if (rest.length > MAX_BUFFER) throw new Error("an event without end");
      return blocks.map(eventOf).filter((event) => event.data);
    };
  }

  function eventOf(block) {
    const event = {};
    for (const line of block.split("\n")) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) || [];
      if (name) event[name] = value;
    }
    return event;
  }

  function take(event) {
    const told = JSON.parse(event.data);
    const waited = !pending || told.ticket_id === pending;
    switch (event.event) {
      case "status":
        if (told.state === "over") waited && rest("");
        else if (waited) {
          pending = told.ticket_id;
          say(STATUS[told.state] || "");
        }
        break;
      case "answer":
        add({ by: told.by === "ai" ? "ai" : "person", text: String(told.text), sources: told.sources || [] });
        settle(told, waited, "");
        break;
      case "acknowledged":
        add({ by: "note", text: String(told.text) });
        break;
      case "handed_over":
        settle(told, waited, WITH_A_PERSON);
        break;
    }
    if (event.id) {
      state.last = event.id;
      save();
    }
  }

  function settle(told, waited, text) {
    if (!waited || !pending) settled.add(told.ticket_id);
    if (waited) rest(text);
  }

  function rest(text) {
    pending = null;
    state.note = text;
    say(text);
  }

  // -- keys and clicks

  launcher.addEventListener("click", open);
  closer.addEventListener("click", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) {
      event.stopPropagation();
      close();
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
    field.focus();
  });

  function start() {
    document.body.append(host);
    state.lines.forEach(show);
    say(state.note);
    save();
    if (state.session) follow();
  }

  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
  window.SluiceChat = { open, close, reset };

  function styles() {
    return `
      :host { all: initial; position: fixed; right: 20px; bottom: 20px; z-index: 2147483000; }
      * { box-sizing: border-box; margin: 0; padding: 0; font: 400 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; }
      [hidden] { display: none !important; }
      button { cursor: pointer; border: 0; border-radius: 999px; background: #0f5c4d; color: #fff; font-weight: 600; }
      button:hover { background: #0a463b; }
      :focus-visible { outline: 3px solid #b45f06; outline-offset: 2px; }
      header :focus-visible { outline-color: #ffd479; }
      .launcher { padding: 14px 22px; box-shadow: 0 6px 22px rgb(12 40 33 / 0.28); }
      .panel { display: flex; flex-direction: column; width: min(380px, calc(100vw - 40px));
        height: min(600px, calc(100vh - 40px)); overflow: hidden; border-radius: 16px; background: #fff; color: #18221f;
        box-shadow: 0 14px 48px rgb(12 40 33 / 0.3); animation: rise 0.16s ease-out; }
      header { display: flex; align-items: center; justify-content: space-between; padding: 14px 12px 14px 18px;
        background: #0f5c4d; color: #fff; }
      h2 { font-size: 17px; font-weight: 600; }
      .close { width: 36px; height: 36px; background: transparent; font-size: 24px; line-height: 1; }
      .disclosure { padding: 9px 18px; background: #eef4f1; color: #3a4a45; font-size: 12.5px; }
      .log { flex: 1; overflow-y: auto; padding: 16px 18px; list-style: none; overscroll-behavior: contain; }
      .log > li { display: flex; flex-direction: column; align-items: flex-start; margin-bottom: 14px; }
      .log > .mine { align-items: flex-end; }
      .who { margin: 0 4px 3px; color: #52625d; font-size: 12px; }
      .text { max-width: 88%; padding: 9px 14px; border-radius: 14px; background: #eef1f0; white-space: pre-wrap;
        overflow-wrap: anywhere; }
      .theirs .text { border-bottom-left-radius: 4px; }
      .mine .text { border-bottom-right-radius: 4px; background: #0f5c4d; color: #fff; }
      .sources { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: baseline; margin: 6px 4px 0; color: #52625d; }
      .sources ul { display: flex; flex-wrap: wrap; gap: 4px 6px; list-style: none; }
      .sources * { font-size: 12.5px; }
      .sources li { padding: 1px 9px; border: 1px solid #c3d2cc; border-radius: 999px; overflow-wrap: anywhere; }
      a { color: #0f5c4d; text-decoration: underline; }
      .failed { margin-top: 4px; color: #9b1c1c; font-size: 13px; }
      .failed button { padding: 2px 10px; font-size: 13px; }
      .status { min-height: 24px; padding: 0 18px 6px; color: #3f504a; font-size: 13px; font-style: italic; }
      form { padding: 10px 18px 14px; border-top: 1px solid #dfe6e3; }
      label { display: block; margin-bottom: 4px; font-size: 13px; font-weight: 600; }
      textarea { width: 100%; padding: 9px 12px; resize: none; border: 1px solid #71827c; border-radius: 10px;
        background: #fff; color: #18221f; }
      .foot { display: flex; align-items: center; justify-content: space-between; gap: 10px; margin-top: 8px; }
      .foot span { color: #52625d; font-size: 12px; }
      .foot button { padding: 8px 20px; }
      @keyframes rise { from { opacity: 0; transform: translateY(10px); } }
      @media (prefers-reduced-motion: reduce) { .panel { animation: none; } }
      @media (forced-colors: active) { .panel, .text, button { border: 1px solid; } }
      @media (max-width: 460px) { :host { right: 12px; bottom: 12px; } .panel { width: calc(100vw - 24px); height: calc(100vh - 24px); } }
    `;
  }
})();
