// --- A night over all: what ran, waits, failed, in the order of the stages --------------------------------------------

const KINDS = { source: "Sources", features: "Feature sets", model: "Models" };

const NIGHT = [
  { title: "Name", cell: (s) => h(Go, { to: s.kind === "model" ? modelPage(s.name) : `${HOME}/data?q=${encodeURIComponent(s.name)}` }, s.name) },
  { title: "State", wide: true, cell: (s) => [h(Mark, { key: 1, tone: s.tone }, s.status), s.why && h(Said, { key: 2, lineClamp: 3, title: s.why }, s.why), h(Next, { key: 3, step: s.step })] },
  { title: "Rows", cell: (s) => number(s.rows) },
  { title: "Set aside", of: "source", cell: (s) => number(s.set_aside) },
  { title: "Retraining", of: "model", wide: true, cell: (s) => h(C.Text, { fontSize: "sm", lineClamp: 3, title: s.request }, s.request || "–") },
  { title: "At", cell: (s) => (s.at ? `${s.at.slice(0, 16).replace("T", " ")} UTC` : "–") },
  { title: "Open", cell: (s) => [h(Go, { key: 1, to: `dags/${s.dag}` }, "DAG"), s.docs && h(C.Box, { key: 2 }, h(Go, { to: s.docs }, s.kind === "model" ? "report" : "data docs"))] },
];

const NightPage = ({ night }) => {
  const go = Router.useNavigate();
  const newest = useApi(night ? "" : "fleet");
  const of = night || newest.data?.night;
  const found = useApi(of ? `nights/${of}` : "");
  if (!of || !found.data?.steps) return h(Page, { title: "Night" }, h(Missing, { found: of ? found : newest, what: "such night" }));
  const { steps } = found.data;
  const bad = steps.filter((step) => step.tone === "bad");
  const to = (value) => value && go(`${HOME}/nights/${value}`);
  const about = bad.length ? `${bad.length} of ${steps.length} missing or failed: ${bad.map((step) => step.name).join(", ")}` : "Nothing is missing and nothing failed.";
  return h(
    Page,
    { title: `Night of ${of}`, about, found },
    h(Broken, { specs: found.data.broken }),
    h(
      C.Flex,
      { gap: 3, mb: 3, alignItems: "center", flexWrap: "wrap" },
      h(C.Button, { size: "xs", variant: "outline", onClick: () => to(day(of, -1)) }, "the night before"),
      h(Night, { value: of, onChange: to }),
      h(C.Button, { size: "xs", variant: "outline", onClick: () => to(day(of, 1)) }, "the night after"),
      h(Go, { to: `${HOME}?night=${of}` }, "the fleet on this night"),
    ),
    Object.entries(KINDS).map(([kind, title]) =>
      h(Section, { key: kind, id: kind, title }, h(Grid, { label: title, columns: NIGHT.filter((column) => !column.of || column.of === kind), rows: steps.filter((s) => s.kind === kind), keyOf: (s) => s.name })),
    ),
  );
};
