// --- Data: freshness, volume and quality in time, what waits in quarantine ---------------------------------------------

const DATA = [
  { title: "Name", least: "12rem", by: (d) => d.row.name, cell: (d) => [h(C.Text, { key: 1, as: "span", fontWeight: "semibold" }, whole(d.row.name)), h(Soft, { key: 2, display: "block" }, d.description)] },
  {
    title: "Newest night",
    by: (d) => d.behind,
    cell: (d) => (d.row.newest ? [d.row.newest, " ", h(Mark, { key: 1, tone: d.behind ? "bad" : "good" }, d.behind ? `${nights(d.behind)} behind` : "up to date")] : h(Mark, { tone: "quiet" }, "never")),
  },
  { title: "Last try", cell: (d) => [d.row.status || "–", d.row.why && h(C.Text, { key: 1, fontSize: "sm", lineClamp: 3, title: d.row.why }, d.row.why)] },
  { title: "Rows a night", cell: (d, first) => h(Bars, { values: d.row.volume, first, label: `Rows a night of ${d.row.name}` }) },
  { title: "Set aside", of: "source", cell: (d, first) => h(Bars, { values: d.row.rejected.map((v) => (v === null ? null : 100 * v)), first, label: `Per cent set aside of ${d.row.name}` }) },
  {
    title: "In quarantine",
    of: "source",
    by: (d) => d.row.open.reduce((sum, each) => sum - each.rows, 0),
    least: "12rem",
    cell: (d) =>
      d.row.open.length
        ? d.row.open.map((each) => h(Said, { key: each.rule + each.column }, `${number(each.rows)} ${each.rows === 1 ? "row" : "rows"}: ${each.rule}${each.column ? ` of ${each.column}` : ""}, newest ${each.newest}`, each.samples.length > 0 && h(Soft, { display: "block" }, "such as ", each.samples.map((sample) => h(C.Code, { key: sample, size: "sm", mr: 1, whiteSpace: "pre-wrap" }, sample || "nothing")))))
        : h(Soft, null, "none"),
  },
  { title: "Fixes", of: "source", cell: (d) => (d.fixes.length ? d.fixes.map((fix) => h(C.Box, { key: fix }, fix)) : h(Soft, null, "–")) },
  { title: "Read by", cell: (d) => (d.read_by.length ? d.read_by.map((name) => h(C.Box, { key: name }, h(Go, { to: modelPage(name) }, name))) : h(Soft, null, "no model")) },
  { title: "Do", cell: (d) => d.links.map((link) => h(Next, { key: link.to, step: link })) },
];

// `dag`: of the source or set that a tab is about.
const DataPage = ({ dag }) => {
  const [asked, ask] = useAsked();
  const found = useApi(`data${ofNight(asked("night"))}`);
  if (!found.data) return h(Page, { title: "Data" }, h(Missing, { found, what: "such night" }));
  const words = asked("q").toLowerCase();
  const shown = found.data.datasets.filter((d) => (dag ? d.links[0].words === dag : `${d.row.name} ${d.owner} ${d.kind}`.toLowerCase().includes(words)));
  const stale = found.data.datasets.filter((d) => d.behind);
  const about = `Night of ${found.data.night}: ${stale.length ? `${stale.length} stale: ${stale.map((d) => d.row.name).join(", ")}` : "whatever has run is up to date"}.`;
  return h(
    Page,
    { title: "Data", about, found },
    h(Broken, { specs: found.data.broken }),
    !dag && h(C.Flex, { gap: 3, mb: 3 }, h(Search, { value: asked("q"), onChange: (value) => ask("q", value), label: "Search data" })),
    ["source", "features"].map((kind) =>
      h(
        Section,
        { key: kind, id: kind, title: KINDS[kind] },
        h(Grid, { label: KINDS[kind], columns: DATA.filter((c) => !c.of || c.of === kind).map((c) => ({ ...c, cell: (d) => c.cell(d, found.data.first) })), rows: shown.filter((d) => d.kind === kind), keyOf: (d) => d.row.name }),
      ),
    ),
    h(Lineage, { nodes: found.data.lineage, start: shown[0] && `${shown[0].kind}.${shown[0].row.name}` }),
  );
};
