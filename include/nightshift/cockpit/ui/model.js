// --- A model: how it stands, its nights, who decided what and why, what it stands on, what to do ----------------------

const runOf = (name, training) => `dags/train_${name}/runs/${encodeURIComponent(training)}`;

const happened = (page) => [
  ...page.ledger
    .filter((entry) => entry.kind !== "rename")
    .map((entry) => ({
      night: entry.effective_from,
      words: `${entry.kind === "rollback" ? "rolled back to" : "promoted"} version ${entry.version}, by ${entry.actor}`,
      short: `v${entry.version}`,
      colour: entry.kind === "rollback" ? "failed.solid" : "success.solid",
    })),
  ...page.requests
    .filter((request) => request.status === "started")
    .map((request) => ({ night: request.batch_date, words: `training started: ${request.came_of_it}`, colour: "running.solid" })),
  ...page.faults.map((fault) => ({ night: fault.batch_date, words: `fault: ${fault.column_name} ${fault.words}`, colour: "up_for_retry.solid" })),
];

const Gates = ({ gates }) =>
  h(
    C.Box,
    { as: "ul", listStyleType: "none" },
    gates.map((gate, index) =>
      h(C.Box, { as: "li", key: index, fontSize: "sm" }, h(Mark, { tone: gate.passed ? "good" : "bad" }, `${gate.gate} ${gate.passed ? "passed" : "failed"}`), " ", h(Soft, null, gate.words)),
    ),
  );

const signed = (decision, waiting) =>
  decision.signed_by || decision.answer
    ? `${decision.answer} by ${decision.signed_by || "the passing of time"}${decision.comment ? `: ${decision.comment}` : ""}`
    : decision.approval !== "required" || !decision.passed
      ? "no signature asked for: the gates decided"
      : decision.training_id === waiting?.training_id
        ? "waits for a signature"
        : "nobody signed";

const Decisions = ({ page, name }) =>
  h(
    Section,
    { id: "decisions", title: "Why it was retrained, and who approved", note: "Newest first. Each gate in its own words." },
    page.decisions.length === 0 && h(Soft, null, "No training has come to its gates yet."),
    page.decisions.map((decision) =>
      h(
        C.Box,
        { key: decision.training_id, borderWidth: "1px", borderRadius: "md", p: 3, mb: 3, "data-decision": decision.training_id },
        h(C.Heading, { as: "h3", size: "sm" }, `Version ${decision.challenger}${decision.champion ? ` against version ${decision.champion}` : ", the first"}: ${decision.outcome || (decision.passed ? "passed" : "failed its gates")}`),
        h(C.Text, { fontSize: "sm" }, h("strong", null, "Why: "), decision.reason),
        h(C.Text, { fontSize: "sm" }, h("strong", null, "Approved: "), signed(decision, page.model.row.waiting), decision.requested_by ? `; the training was asked for by ${decision.requested_by}` : ""),
        h(C.Box, { my: 1, fontSize: "sm" }, h(Go, { to: runOf(name, decision.training_id), fontSize: "sm" }, `the training as of ${decision.as_of}`)),
        h(Gates, { gates: decision.gates }),
      ),
    ),
  );

const Requests = ({ page, name }) =>
  page.requests.length > 0 &&
  h(
    Section,
    { id: "requests", title: "Nights that asked for retraining", note: "What they started, or which guard held them." },
    h(Grid, {
      label: "Requests",
      rows: page.requests,
      keyOf: (request) => request.batch_date,
      columns: [
        { title: "Night", cell: (r) => h(Go, { to: `${HOME}/nights/${r.batch_date}` }, r.batch_date) },
        { title: "Answer", cell: (r) => h(Mark, { tone: r.status === "started" ? "busy" : "watch" }, r.guard ? `held by ${r.guard}` : r.status) },
        { title: "Why", wide: true, cell: (r) => [h(C.Text, { key: 1, fontSize: "sm" }, r.reason), ...r.answers.filter((a) => a.objects).map((a) => h(Soft, { key: a.guard, display: "block" }, `${a.guard}: ${a.words}`))] },
        { title: "Not before", cell: (r) => r.not_before || "–" },
        { title: "Came of it", cell: (r) => (r.training_id ? h(Go, { to: runOf(name, r.training_id) }, r.came_of_it) : "–") },
      ],
    }),
  );

const Ledger = ({ page, name }) =>
  h(
    Section,
    { id: "ledger", title: "Ledger", note: "Who put which version in service, from which night on." },
    h(Grid, {
      label: "Ledger",
      rows: page.ledger,
      keyOf: (entry) => entry.entry,
      columns: [
        { title: "Entry", cell: (e) => String(e.entry) },
        { title: "Kind", cell: (e) => e.kind },
        { title: "Version", cell: (e) => h(Go, { to: `nightshift/files/cards/${name}/${e.version}/card.html` }, `version ${e.version}`) },
        { title: "From", cell: (e) => e.effective_from },
        { title: "By", cell: (e) => e.actor },
        { title: "Why", wide: true, cell: (e) => h(C.Text, { fontSize: "sm", lineClamp: 4, title: e.reason }, e.reason) },
      ],
    }),
  );

const Features = ({ page }) => {
  const shapes = Object.fromEntries(page.histograms.map((each) => [each.name, each]));
  if (page.features.length === 0) return null;
  return h(
    Section,
    { id: "features", title: "Features", note: "Most drift first: the population stability index of the newest judged night against the training, and what the model makes of the feature." },
    h(Heat, { features: page.features, heatNights: page.heat_nights }),
    h(Grid, {
      label: "Features",
      rows: page.features,
      keyOf: (feature) => feature.name,
      columns: [
        { title: "Feature", cell: (f) => f.name },
        { title: "Drift", cell: (f) => h(Mark, { tone: f.now.ruined ? "bad" : f.now.drifted ? "watch" : "good" }, `${number(f.now.psi)} of ${number(f.now.limit)}`) },
        { title: "Importance", cell: (f) => `${Math.round(100 * f.now.importance)} %` },
        { title: "Night beside training", cell: (f) => (shapes[f.name] ? h(Pairs, { histogram: shapes[f.name], night: page.counted_on }) : h(Soft, null, "–")) },
        { title: "Missing", cell: (f) => `${(100 * f.now.missing_now).toFixed(1)} % (training ${(100 * f.now.missing_then).toFixed(1)} %)` },
      ],
    }),
  );
};

const Slices = ({ slices }) =>
  slices.length > 0 &&
  h(
    Section,
    { id: "slices", title: "Slices", note: `By ${slices[0].metric}, on the holdout of the newest challenger that has slices. Gain: between what it lies, by resamples.` },
    h(Grid, {
      label: "Slices",
      rows: slices,
      keyOf: (slice) => slice.name,
      columns: [
        { title: "Slice", cell: (s) => s.name },
        { title: "Rows", cell: (s) => number(s.rows) },
        { title: "Challenger", cell: (s) => number(s.challenger) },
        { title: "Champion", cell: (s) => number(s.champion) },
        { title: "Gain", cell: (s) => (s.low === null ? "–" : `${number(s.low)} to ${number(s.high)}`) },
      ],
    }),
  );

const NightsTable = ({ page }) =>
  h(
    "details",
    null,
    h("summary", null, "The same as a table"),
    h(Grid, {
      label: "Nights",
      rows: [...page.nights].reverse().slice(0, 60),
      keyOf: (n) => n.night,
      columns: [
        { title: "Night", cell: (n) => h(Go, { to: `${HOME}/nights/${n.night}` }, n.night) },
        { title: "Version", cell: (n) => String(n.version) },
        { title: "Rows", cell: (n) => number(n.scored) },
        { title: "Verdict", cell: (n) => n.status || "–" },
        { title: "By labels", cell: (n) => `${number(n.value)}${between(n.low, n.high)}${n.provisional ? ", provisional" : ""}` },
        { title: "Estimate", cell: (n) => `${number(n.estimate)}${between(n.estimate_low, n.estimate_high)}` },
        { title: "Harm", cell: (n) => number(n.harm, 1) },
        { title: "Shift", cell: (n) => number(n.shift, 1) },
        { title: "Report", cell: (n) => (n.report_key ? h(Go, { to: `nightshift/files/${n.report_key}` }, "report") : "–") },
      ],
    }),
  );

const Actions = ({ links, title, id }) =>
  links.length > 0 &&
  h(
    Section,
    { id, title },
    h(
      C.Flex,
      { gap: 3, flexWrap: "wrap" },
      links.map((link) =>
        h(C.Box, { key: link.words, borderWidth: "1px", borderRadius: "md", px: 3, py: 1 }, h(Next, { step: link })),
      ),
    ),
  );

const ModelPage = ({ name }) => {
  const [asked] = useAsked();
  const found = useApi(`models/${encodeURIComponent(name)}${ofNight(asked("night"))}`);
  if (!found.data) return h(Page, { title: name }, h(Missing, { found, what: `model ${name}` }));
  const page = found.data;
  const { state, row } = page.model;
  const alarm = (what) => row.said?.find((reason) => reason.name === what)?.limit ?? row[what]?.alarm ?? 365;
  return h(
    Page,
    { title: name, about: page.model.description, found },
    h(
      C.Box,
      { borderWidth: "1px", borderRadius: "md", p: 3, "data-word": state.word },
      h(C.Text, { fontSize: "lg" }, h(Mark, { tone: state.tone }, state.word), state.since && h(Soft, null, ` since ${state.since}`)),
      h(Said, null, state.reason),
      h(Next, { step: state.step }),
      h(Said, { mt: 2 }, row.version ? `Champion: version ${row.version}, in service since ${row.since}, by ${row.actor}; fitted on nights up to ${row.trained_until}` : "No champion."),
      h(Soft, { display: "block" }, `Night of ${page.night}; owner ${page.model.owner}; ${row.missing.length ? `missing: ${row.missing.join(", ")}` : "no night is missing"}; labels ${share(row.labelled, row.expected)}`),
    ),
    row.alerts.length > 0 &&
      h(
        Section,
        { id: "alerts", title: "Open alerts" },
        row.alerts.map((alert) =>
          h(
            C.Box,
            { key: alert.fingerprint, "data-alert": alert.fingerprint, mb: 2 },
            h(Mark, { tone: alert.severity === "warning" ? "watch" : "bad" }, `${alert.severity}: ${alert.title}`),
            h(Soft, null, ` since ${alert.since.slice(0, 16).replace("T", " ")} UTC${alert.muted ? ", follows from another" : ""}`),
            h(C.Text, { fontSize: "sm" }, alert.action),
            h(Next, { step: page.silences[alert.fingerprint] }),
          ),
        ),
      ),
    h(Actions, { id: "actions", title: "Do", links: page.actions }),
    page.nights.length > 0
      ? h(
          Section,
          { id: "timeline", title: `In time: ${page.model.metric || "its nights"}`, note: "Line: by labels, with its 90 % interval; hollow: provisional. Dashed: the estimate before labels. Dotted: at the gate. Marks: promotions, rollbacks, trainings, faults." },
          h(Timeline, { nightsOf: page.nights, metric: page.model.metric, marks: happened(page).filter((mark) => mark.night >= page.nights[0].night) }),
          h(Evidence, { nightsOf: page.nights, alarm: alarm("harm"), what: "harm", colour: "failed.solid" }),
          h(Evidence, { nightsOf: page.nights, alarm: alarm("shift"), what: "shift", colour: "fg.info" }),
          h(NightsTable, { page }),
        )
      : h(Section, { title: "In time" }, h(Soft, null, "Nothing has been scored yet.")),
    h(Decisions, { page, name }),
    h(Requests, { page, name }),
    h(Ledger, { page, name }),
    h(Features, { page }),
    h(Slices, { slices: page.slices }),
    h(Lineage, { nodes: page.lineage, start: `model.${name}` }),
    h(Actions, { id: "links", title: "Read on", links: page.links }),
  );
};
