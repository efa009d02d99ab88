// --- Alerts: what is wrong now, who was told, and how to be silent about it -------------------------------------------

const at = (instant) => `${instant.slice(0, 16).replace("T", " ")} UTC`;
const SUBJECTS = { model: (name) => modelPage(name), source: (name) => `${HOME}/data?q=${encodeURIComponent(name)}`, features: (name) => `${HOME}/data?q=${encodeURIComponent(name)}` };

const Subject = ({ subject }) => {
  const [kind, ...rest] = subject.split(":");
  const name = rest.join(":");
  return SUBJECTS[kind] && name ? [`${kind} `, h(Go, { key: 1, to: SUBJECTS[kind](name) }, name)] : subject;
};

const heard = (a) =>
  [
    a.silenced_until && `silenced until ${at(a.silenced_until)}`,
    a.muted_by && `follows from ${a.muted_by}`,
    a.took.length > 0 && `told ${a.took.join(", ")}${a.told > 1 ? `, ${a.told} times` : ""}`,
    a.waits.length > 0 && `not taken yet by ${a.waits.join(", ")}`,
    a.took.length + a.waits.length === 0 && (a.told ? "nobody: no route of the project leads to a receiver" : "nobody was told yet"),
  ]
    .filter(Boolean)
    .join("; ");

const ALERTS = [
  { title: "About", by: (a) => a.subject, cell: (a) => h(Subject, { subject: a.subject }) },
  { title: "What", wide: true, by: (a, index) => index, cell: (a) => [h(Mark, { key: 1, tone: a.severity === "warning" ? "watch" : "bad" }, `${a.severity}: ${a.kind}`), h(C.Text, { key: 2, fontSize: "sm" }, a.title)] },
  { title: "Since", cell: (a) => at(a.since) },
  { title: "Told", cell: (a) => [heard(a), h(Soft, { key: 1, display: "block" }, a.owner)] },
  { title: "Numbers", cell: (a) => Object.entries(a.numbers).map(([name, value]) => h(Soft, { key: name, display: "block" }, `${name}: ${typeof value === "number" ? number(value) : value}`)) },
  { title: "Do", wide: true, cell: (a) => [h(C.Text, { key: 1, fontSize: "sm" }, a.action), a.to && h(C.Box, { key: 2 }, h(Go, { to: a.to }, a.to.slice(5))), h(Next, { key: 3, step: a.silence })] },
];

const Nobody = ({ since }) =>
  h(C.Text, { role: "status", mb: 3 }, h(Mark, { tone: "bad" }, since ? `nobody has looked since ${at(since)}` : "nobody has looked yet"), " ", h(Soft, null, "what is here may be over, and more may be wrong: is the DAG alerts paused, or the scheduler down?"));

const AlertsPage = () => {
  const [asked, ask] = useAsked();
  const found = useApi("alerts");
  if (!found.data) return h(Page, { title: "Alerts" }, h(Missing, { found, what: "such page" }));
  const words = asked("q").toLowerCase();
  const shown = found.data.alerts.filter((a) => `${a.subject} ${a.kind} ${a.title} ${a.owner}`.toLowerCase().includes(words));
  const { late, looked_at: since, alerts: open } = found.data;
  const about = open.length ? `${open.length} open, the worst first.` : !late && "Nothing is wrong that you may see.";
  return h(
    Page,
    { title: "Alerts", found, about: [about, since && !late && ` Looked at ${at(since)}.`] },
    late && h(Nobody, { since }),
    h(C.Flex, { mb: 3 }, h(Search, { value: asked("q"), onChange: (value) => ask("q", value), label: "Search alerts" })),
    shown.length > 0 && h(Grid, { label: "Alerts", columns: ALERTS, rows: shown, keyOf: (a) => a.fingerprint }),
  );
};
