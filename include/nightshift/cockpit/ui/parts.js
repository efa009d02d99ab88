// The operators' cockpit, drawn with what Airflow's UI has: React, Chakra and the router are on globalThis. There is no
// build. Everything that comes from data is a text node of React, or an address made of our own words: never markup.
const R = globalThis.React;
const C = globalThis.ChakraUI;
const Router = globalThis.ReactRouterDOM;
const h = R.createElement;
const { useEffect, useMemo, useRef, useState } = R;

const HOME = "/plugin/nightshift";
const REFRESH_MS = 30_000;
const TYPED_MS = 700;
const NARROW = "(max-width: 760px)";

// What a state asks of people, and the colours that Airflow gives to such states of its own.
const TONES = {
  bad: { words: "act now", colour: "failed" },
  act: { words: "decide", colour: "awaiting_input" },
  watch: { words: "watch", colour: "up_for_retry" },
  busy: { words: "runs", colour: "running" },
  good: { words: "well", colour: "success" },
  quiet: { words: "not in service", colour: "none" },
};

// --- Words and numbers ---------------------------------------------------------------------------------------------

const number = (value, digits = 3) =>
  value === null || value === undefined
    ? "–"
    : Number.isInteger(value)
      ? value.toLocaleString("en")
      : Math.abs(value) >= 1000
        ? Math.round(value).toLocaleString("en")
        : Math.abs(value) >= 100
          ? value.toFixed(1)
          : Math.abs(value) < 0.5 / 10 ** digits && digits > 2
            ? value.toPrecision(2)
            : value.toFixed(digits);
// All of it is 100 %, and nothing else is.
const share = (part, whole) => (whole ? `${Math.floor((100 * part) / whole)} %` : "–");
const nights = (count) => (count === 1 ? "1 night" : `${count} nights`);
const between = (low, high) => (low === null || high === null ? "" : ` (${number(low)} to ${number(high)})`);
const day = (first, index) => new Date(Date.parse(first) + index * 86_400_000).toISOString().slice(0, 10);
// Dates are not broken at the end of a line, and names are where they join words.
const whole = (text) =>
  typeof text === "string"
    ? text.split(/(\d{4}-\d\d-\d\d|_)/).map((part, index) => (part === "_" ? [part, h("wbr", { key: index })] : index % 2 ? h("span", { key: index, style: { whiteSpace: "nowrap" } }, part) : part))
    : text;
const tint = (token) => globalThis.ChakraUISystem.token.var(`colors.${token}`);

// --- What the server says ------------------------------------------------------------------------------------------

// Answers {data} or {error, status}; asks again every half minute while the page is looked at, and when it is looked at
// again. Where nobody answers, what was said last stays, with `lost`: when that was. No path: asks nothing.
const useApi = (path) => {
  const [found, setFound] = useState({});
  useEffect(() => {
    if (!path) return undefined;
    let gone = false;
    const ask = async () => {
      try {
        const url = new URL(`nightshift/api/${path}`, document.baseURI);
        const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
        const next = answer.ok
          ? { path, data: await answer.json(), at: new Date().toISOString() }
          : { path, error: (await answer.json().catch(() => ({}))).detail || answer.statusText, status: answer.status };
        if (!gone) setFound(next);
      } catch (error) {
        if (!gone) setFound((before) => (before.path === path && before.data ? { ...before, lost: before.at } : { path, error: String(error), status: 0 }));
      }
    };
    ask();
    const look = () => document.hidden || ask();
    const timer = setInterval(look, REFRESH_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      gone = true;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [path]);
  return found.path === path ? found : {};
};

const useNarrow = () => {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const look = () => setNarrow(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, []);
  return narrow;
};

// What is looked at is in the address: so it can be sent to somebody.
const useAsked = () => {
  const [params, setParams] = Router.useSearchParams();
  const set = (key, value) => {
    const next = new URLSearchParams(params);
    value ? next.set(key, value) : next.delete(key);
    setParams(next, { replace: true });
  };
  return [(key) => params.get(key) || "", set];
};

const ofNight = (night) => (night ? `?night=${encodeURIComponent(night)}` : "");

// --- Parts of pages ------------------------------------------------------------------------------------------------

// `to`: below Airflow's address. Kept files open beside: they have a sandbox and no way back.
const Go = ({ to, children, ...rest }) => {
  const style = { color: "fg.info", textDecoration: "underline", textUnderlineOffset: "2px", display: "inline", overflowWrap: "break-word", ...rest };
  const words = R.Children.map(children, whole);
  return to.startsWith("nightshift/")
    ? h(C.Link, { href: new URL(to, document.baseURI).href, target: "_blank", rel: "noopener", ...style }, words)
    : h(C.Link, { asChild: true, ...style }, h(Router.Link, { to: to.startsWith("/") ? to : `/${to}` }, words));
};

// The words come first, and the colour says the same.
const Mark = ({ tone, children }) =>
  h(
    C.Box,
    { as: "span", display: "inline-flex", alignItems: "center", gap: 2, fontWeight: "semibold" },
    h(C.Box, {
      as: "span",
      "aria-hidden": true,
      boxSize: "10px",
      flexShrink: 0,
      borderRadius: tone === "good" ? "full" : "2px",
      bg: `${TONES[tone]?.colour ?? "none"}.solid`,
      borderWidth: "1px",
      borderColor: "fg.subtle",
    }),
    children,
  );

const Soft = ({ children, ...props }) => h(C.Text, { as: "span", color: "fg.muted", fontSize: "sm", overflowWrap: "break-word", ...props }, R.Children.map(children, whole));

const Said = ({ children, ...props }) => h(C.Text, { fontSize: "sm", overflowWrap: "break-word", ...props }, R.Children.map(children, whole));

// What to do next: a page, and what its form is to be given; in words alone for who may not start it.
const Next = ({ step }) =>
  step &&
  h(
    C.Box,
    { fontSize: "sm" },
    step.to ? h(Go, { to: step.to }, step.words) : h(Soft, null, step.words),
    step.fill && h(Soft, null, " with ", h(C.Code, { size: "sm", whiteSpace: "normal", overflowWrap: "anywhere" }, step.fill)),
  );

const Section = ({ id, title, note, children }) =>
  h(
    C.Box,
    { as: "section", id, "aria-labelledby": id && `${id}-title`, mt: 6, scrollMarginTop: "4rem" },
    h(C.Heading, { as: "h2", id: id && `${id}-title`, size: "md", mb: 1 }, title),
    note && h(Soft, { display: "block", mb: 2 }, note),
    children,
  );

// What is declared in files that do not load is on no page: that there are some is told on each.
const Broken = ({ specs }) =>
  specs > 0 && h(C.Text, { role: "status", mb: 3 }, h(Mark, { tone: "bad" }, specs === 1 ? "1 spec does not load" : `${specs} specs do not load`), " ", h(Soft, null, "what it declares is not here; Airflow's import errors say why"));

const Lost = ({ since }) => since && h(C.Text, { role: "status", mb: 3 }, h(Mark, { tone: "bad" }, "Airflow does not answer"), " ", h(Soft, null, `what is here was said at ${since.slice(0, 16).replace("T", " ")} UTC`));

const Page = ({ title, about, found, children }) => {
  useEffect(() => {
    document.title = `${title} - Nightshift`;
  }, [title]);
  const { hash } = Router.useLocation();
  useEffect(() => {
    if (hash) document.getElementById(hash.slice(1))?.scrollIntoView();
  }, [hash, title]);
  return h(
    C.Box,
    { p: { base: 3, md: 5 }, h: "100%", overflowY: "auto", "data-nightshift": "page" },
    h(
      C.Flex,
      { as: "nav", "aria-label": "Nightshift", gap: 4, mb: 3, flexWrap: "wrap" },
      h(Go, { to: HOME }, "Fleet"),
      h(Go, { to: `${HOME}/nights` }, "Night"),
      h(Go, { to: `${HOME}/data` }, "Data"),
      h(Go, { to: `${HOME}/alerts` }, "Alerts"),
    ),
    h(C.Heading, { as: "h1", size: "xl", overflowWrap: "anywhere" }, title),
    about && h(Soft, { display: "block", mb: 3 }, about),
    h(Lost, { since: found?.lost }),
    children,
  );
};

const absent = (what) => `There is no ${what}, or it is not yours to see.`;
const WHY = { 401: () => "You are not logged in any more: load the page again.", 404: absent, 422: absent };

// Nothing yet, or why there is nothing.
const Missing = ({ found, what }) =>
  found.error === undefined
    ? h(C.Box, { role: "status", p: 5 }, h(C.Spinner, { size: "sm", "aria-hidden": true }), " Asking the warehouse …")
    : h(
        C.Box,
        { role: "alert", p: 5 },
        WHY[found.status]?.(what) ?? `${found.status ? "The warehouse cannot be asked" : "Airflow does not answer"}: ${found.error}`,
      );

// A table, and where there is little room a list of the same. A column: {title, cell, by} - `by`: what it is sorted by.
const Grid = ({ label, columns, rows, keyOf, sorted, onSort }) => {
  const narrow = useNarrow();
  const body = useRef(null);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...body.current.querySelectorAll("[data-row] a")].filter((a) => a.closest("[data-first]"));
    const at = links.indexOf(document.activeElement);
    if (step && at >= 0) {
      event.preventDefault();
      links[Math.max(0, Math.min(links.length - 1, at + step))].focus();
    }
  };
  if (narrow) {
    return h(
      C.Box,
      { as: "ul", "aria-label": label, listStyleType: "none", ref: body, onKeyDown: move },
      rows.map((row) =>
        h(
          C.Box,
          { as: "li", key: keyOf(row), "data-row": keyOf(row), borderWidth: "1px", borderRadius: "md", p: 3, mb: 3 },
          columns.map((column, index) =>
            h(
              C.Flex,
              { key: column.title, gap: 2, py: 1, "data-first": index === 0 ? true : undefined },
              h(Soft, { minW: "6.5rem", flexShrink: 0 }, column.title),
              h(C.Box, { flex: "1 1 0", minW: 0, overflowWrap: "anywhere" }, column.cell(row)),
            ),
          ),
        ),
      ),
    );
  }
  return h(
    C.Box,
    { overflowX: "auto", tabIndex: 0, role: "region", "aria-label": `${label}, scrollable` },
    h(
      C.Table.Root,
      { size: "sm", "aria-label": label },
      h(
        C.Table.Header,
        null,
        h(
          C.Table.Row,
          null,
          columns.map((column) =>
            h(
              C.Table.ColumnHeader,
              {
                key: column.title,
                scope: "col",
                whiteSpace: "nowrap",
                "aria-sort": sorted?.title === column.title ? (sorted.down ? "descending" : "ascending") : undefined,
              },
              column.by && onSort
                ? h(
                    C.Box,
                    { as: "button", type: "button", fontWeight: "inherit", cursor: "pointer", textDecoration: "underline dotted", textUnderlineOffset: "3px", onClick: () => onSort(column.title) },
                    column.title,
                    sorted?.title === column.title ? (sorted.down ? " ↓" : " ↑") : "",
                  )
                : column.title,
            ),
          ),
        ),
      ),
      h(
        C.Table.Body,
        { ref: body, onKeyDown: move },
        rows.map((row) =>
          h(
            C.Table.Row,
            { key: keyOf(row), "data-row": keyOf(row) },
            columns.map((column, index) =>
              h(
                C.Table.Cell,
                {
                  key: column.title,
                  verticalAlign: "top",
                  minW: column.wide ? "15rem" : column.least,
                  maxW: column.wide ? "26rem" : "14rem",
                  overflowWrap: "break-word",
                  "data-first": index === 0 ? true : undefined,
                },
                column.cell(row),
              ),
            ),
          ),
        ),
      ),
    ),
  );
};

const Search = ({ value, onChange, label }) => {
  const box = useRef(null);
  useEffect(() => {
    const focus = (event) => {
      if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) {
        event.preventDefault();
        box.current?.focus();
      }
    };
    document.addEventListener("keydown", focus);
    return () => document.removeEventListener("keydown", focus);
  }, []);
  return h(C.Input, {
    ref: box,
    type: "search",
    size: "sm",
    maxW: "20rem",
    "aria-label": label,
    placeholder: `${label}  ( / )`,
    value,
    onChange: (event) => onChange(event.target.value),
  });
};

// While it is typed it is many dates, the first of them of the first century: the one that stays for a moment is meant.
const Night = ({ value, onChange }) => {
  const later = useRef();
  useEffect(() => () => clearTimeout(later.current), []);
  const typed = ({ target: { value: night } }) => {
    clearTimeout(later.current);
    if (!night || night >= "1900") later.current = setTimeout(() => onChange(night), TYPED_MS);
  };
  return h(C.Input, {
    key: value,
    type: "date",
    size: "sm",
    maxW: "11rem",
    "aria-label": "Night",
    defaultValue: value,
    onChange: typed,
  });
};

// What something stands on, and what stands on it. A step is a click: what was clicked is then in the middle.
const Lineage = ({ nodes, start }) => {
  const [walked, walk] = useState(null);
  const here = nodes.find((node) => node.key === walked) ?? nodes.find((node) => node.key === start) ?? nodes[0];
  if (!here) return null;
  const page = (node) => (node.kind === "model" ? `${HOME}/models/${encodeURIComponent(node.name)}` : `${HOME}/data?q=${encodeURIComponent(node.name)}`);
  const list = (title, found) =>
    h(
      C.Box,
      { minW: "9rem" },
      h(Soft, { display: "block" }, title),
      found.length === 0
        ? h(Soft, null, "nothing")
        : h(
            C.Box,
            { as: "ul", listStyleType: "none", "aria-label": title },
            found.map((node) =>
              h(C.Box, { as: "li", key: node.key, mb: 1 }, h(C.Button, { size: "xs", variant: "outline", "data-node": node.key, onClick: () => walk(node.key) }, node.name)),
            ),
          ),
    );
  return h(
    Section,
    { id: "lineage", title: "Lineage", note: "Click to walk." },
    h(
      C.Flex,
      { gap: 6, flexWrap: "wrap", alignItems: "center" },
      list("stands on", nodes.filter((node) => here.reads.includes(node.key))),
      h(C.Box, { "aria-hidden": true }, "→"),
      h(
        C.Box,
        { borderWidth: "1px", borderRadius: "md", px: 3, py: 2, "aria-live": "polite", "data-here": here.key },
        h(Soft, { display: "block" }, here.kind),
        h(Go, { to: page(here), fontWeight: "semibold" }, here.name),
        " ",
        h(Go, { to: here.to, fontSize: "sm" }, "DAG"),
      ),
      h(C.Box, { "aria-hidden": true }, "→"),
      list("read by", nodes.filter((node) => node.reads.includes(here.key))),
    ),
  );
};
