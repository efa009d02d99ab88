// --- Fleet: a row a model, the one that needs somebody first ---------------------------------------------------------

const modelPage = (name, night) => `${HOME}/models/${encodeURIComponent(name)}${ofNight(night)}`;

const FLEET = [
  { title: "Model", least: "10rem", by: (m) => m.model, cell: (m, night) => [h(Go, { key: 1, to: modelPage(m.model, night), fontWeight: "semibold" }, m.model), h(Soft, { key: 2, display: "block" }, m.owner)] },
  {
    title: "State",
    by: (m, index) => index,
    wide: true,
    cell: (m) => [
      h(Mark, { key: 1, tone: m.state.tone }, m.state.word),
      m.state.since && h(Soft, { key: 2 }, ` since ${m.state.since}`),
      h(Said, { key: 3, lineClamp: 3, title: m.state.reason }, m.state.reason),
      h(Next, { key: 4, step: m.state.step }),
    ],
  },
  {
    title: "Champion",
    by: (m) => m.age,
    cell: (m) =>
      m.version
        ? [`version ${m.version}`, h(Soft, { key: 2, display: "block" }, `${m.age === null ? "age unknown" : nights(m.age) + " old"}, since ${m.since}`)]
        : h(Soft, null, "none"),
  },
  {
    title: "Last night",
    by: (m) => m.scored,
    cell: (m) =>
      m.scored
        ? [h(Said, { key: 1, as: "span", fontSize: "inherit" }, `${m.scored}: ${m.verdict ?? "scored"}`), h(Soft, { key: 2, display: "block" }, `${number(m.rows)} rows, ${number(m.set_aside)} set aside`)]
        : h(Soft, null, "never"),
  },
  {
    title: "Missing",
    by: (m) => m.missing.length,
    cell: (m) => (m.missing.length ? h(C.Text, { as: "span", title: m.missing.join(", ") }, nights(m.missing.length)) : h(Soft, null, "none")),
  },
  { title: "Freshness", by: (m) => m.behind, cell: (m) => {
    if (m.never.length) return `nothing of ${m.never.join(", ")}`;
    return m.behind ? `${nights(m.behind)} behind` : h(Soft, null, "up to date");
  } },
  {
    title: "Harm",
    by: (m) => m.harm,
    cell: (m) => [
      m.value !== null && h(C.Text, { key: 1, fontSize: "sm" }, `${m.metric} ${number(m.value)}${between(m.low, m.high)}, at the gate ${number(m.baseline)}`),
      h(Soft, { key: 2, display: "block" }, m.harm === null ? "not judged" : `evidence ${number(m.harm, 1)} of ${number(m.harm_limit)}`),
    ],
  },
  {
    title: "Shift",
    by: (m) => m.shift,
    cell: (m) => [
      m.shift === null ? h(Soft, { key: 1 }, "not judged") : h(Said, { key: 1 }, `evidence ${number(m.shift, 1)} of ${number(m.shift_limit)}`),
      m.feature && h(Soft, { key: 2, display: "block" }, `most: ${m.feature} ${number(m.psi, 2)} of ${number(m.psi_limit, 2)}`),
      m.faults > 0 && h(C.Text, { key: 3, fontSize: "sm" }, m.faults === 1 ? "1 open fault" : `${m.faults} open faults`),
    ],
  },
  { title: "Trend", cell: (m, night, first) => h(Spark, { values: m.trend, first, marks: m.retrained, label: m.metric || "metric" }) },
  { title: "Labels", by: (m) => (m.expected ? m.labelled / m.expected : null), cell: (m) => h(C.Text, { as: "span", title: "of the rows of 30 nights that were looked at" }, share(m.labelled, m.expected)) },
  { title: "Waits", by: (m) => -m.waits.length, cell: (m) => (m.waits.length ? m.waits.map((words) => h(Soft, { key: words, display: "block" }, words)) : h(Soft, null, "nothing")) },
];

const compare = (one, other) => {
  // What is not known comes last, whichever way.
  if (one === null || one === undefined) return other === null || other === undefined ? 0 : 1;
  if (other === null || other === undefined) return -1;
  return one < other ? -1 : one > other ? 1 : 0;
};

const chosen = (models, query, tone, sort) => {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (m) => {
    const told = `${m.model} ${m.owner} ${m.state.word} ${m.state.reason}`.toLowerCase();
    return words.every((word) => told.includes(word)) && (!tone || m.state.tone === tone);
  };
  const ranked = models.map((model, index) => ({ model, index })).filter(({ model }) => fits(model));
  const column = FLEET.find((each) => each.title === sort.title);
  if (column?.by) {
    const keys = new Map(ranked.map((each) => [each, column.by(each.model, each.index)]));
    ranked.sort((a, b) => {
      const order = compare(keys.get(a), keys.get(b));
      return keys.get(a) == null || keys.get(b) == null ? order : sort.down ? -order : order;
    });
  }
  return ranked.map(({ model }) => model);
};

const FleetPage = () => {
  const [asked, ask] = useAsked();
  const night = asked("night");
  const found = useApi(`fleet${ofNight(night)}`);
  if (!found.data) return h(Page, { title: "Fleet" }, h(Missing, { found, what: "such night" }));
  const { models, night: of, trend_first: first } = found.data;
  const [title, down] = asked("sort").split("-");
  const sort = { title, down: down === "down" };
  const shown = chosen(models, asked("q"), asked("tone"), sort);
  const tones = Object.keys(TONES).filter((tone) => models.some((m) => m.state.tone === tone));
  const needed = models.filter((m) => ["bad", "act"].includes(m.state.tone)).length;
  const open = models.reduce((sum, m) => sum + m.alerts, 0);
  const about = [
    `Night of ${of}: ${needed ? `${needed} of ${models.length} need somebody` : `${models.length} models, and none needs anybody`}. `,
    open > 0 && h(Go, { key: 2, to: `${HOME}/alerts` }, open === 1 ? "1 open alert about a model" : `${open} open alerts about models`),
  ];
  const onSort = (name) => ask("sort", sort.title === name ? (sort.down ? "" : `${name}-down`) : name);
  return h(
    Page,
    { title: "Fleet", about, found },
    h(Broken, { specs: found.data.broken }),
    h(
      C.Flex,
      { gap: 3, mb: 3, flexWrap: "wrap", alignItems: "center" },
      h(Search, { value: asked("q"), onChange: (value) => ask("q", value), label: "Search models" }),
      h(Night, { value: night || of, onChange: (value) => ask("night", value) }),
      h(
        C.Flex,
        { role: "group", "aria-label": "Show", gap: 2, flexWrap: "wrap" },
        tones.map((tone) =>
          h(
            C.Button,
            { key: tone, size: "xs", variant: "outline", "aria-pressed": asked("tone") === tone, bg: asked("tone") === tone ? "bg.emphasized" : undefined, onClick: () => ask("tone", asked("tone") === tone ? "" : tone) },
            h(Mark, { tone }, `${TONES[tone].words} ${models.filter((m) => m.state.tone === tone).length}`),
          ),
        ),
      ),
      h(Go, { to: `${HOME}/nights/${of}` }, `What the night of ${of} came to`),
    ),
    models.length === 0 && h(C.Text, null, "No model that you may see is declared."),
    h(Grid, {
      label: "Models",
      columns: FLEET.map((column) => ({ ...column, cell: (m) => column.cell(m, night, first) })),
      rows: shown,
      keyOf: (m) => m.model,
      sorted: sort,
      onSort,
    }),
    models.length > 0 && shown.length === 0 && h(C.Text, { role: "status" }, "No model fits what is asked for."),
  );
};

// On Home: who needs somebody, and the way to all.
const HomeCard = () => {
  const found = useApi("fleet");
  if (found.status === 401 || found.status === 403) return null;
  const models = found.data?.models ?? [];
  const needed = models.filter((m) => ["bad", "act"].includes(m.state.tone));
  return h(
    C.Box,
    { borderWidth: "1px", borderRadius: "md", p: 4, mb: 4, as: "section", "aria-label": "Nightshift", "data-nightshift": "card" },
    h(C.Flex, { justify: "space-between", gap: 3, flexWrap: "wrap" }, h(C.Heading, { as: "h2", size: "md" }, "Models"), h(Go, { to: HOME }, "Fleet")),
    !found.data
      ? h(Missing, { found, what: "fleet" })
      : [
          h(Lost, { key: "lost", since: found.lost }),
          h(Broken, { key: "broken", specs: found.data.broken }),
          h(C.Text, { key: "sum", mb: 2 }, needed.length ? `${needed.length} of ${models.length} need somebody, night of ${found.data.night}` : `Nobody is needed, night of ${found.data.night}: ${models.length} models`),
          ...(needed.length ? needed : models).slice(0, 5).map((m) =>
            h(C.Box, { key: m.model, py: 1 }, h(Go, { to: modelPage(m.model) }, m.model), " ", h(Mark, { tone: m.state.tone }, m.state.word), " ", h(Soft, { lineClamp: 1, display: "block" }, m.state.reason), h(Next, { step: m.state.step })),
          ),
        ],
  );
};
