// --- Charts: functions of numbers; each has a name in words ----------------------------------------------------------

const points = (values, x, y) => {
  // A gap where nothing is known: a line over it would tell of nights that nobody measured.
  let path = "";
  let drawn = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) drawn = false;
    else {
      path += `${drawn ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      drawn = true;
    }
  });
  return path;
};

const scale = (values, top, bottom) => {
  const known = values.filter((value) => value !== null && value !== undefined && Number.isFinite(value));
  const low = Math.min(...known);
  const high = Math.max(...known);
  return known.length === 0 ? () => bottom : (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - top);
};

const Spark = ({ values, first, marks, label }) => {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return h(Soft, null, "not measured yet");
  const x = (index) => 2 + (index / Math.max(values.length - 1, 1)) * 116;
  const y = scale(values, 3, 25);
  const told = `${label}: ${number(known[0])} to ${number(known[known.length - 1])} over ${nights(known.length)}`;
  const line = { fill: "none", strokeWidth: 1.5 };
  return h(
    "svg",
    { width: 120, height: 28, viewBox: "0 0 120 28", role: "img", "aria-label": told },
    h("title", null, told),
    marks.map((night) => {
      const at = x(Math.round((Date.parse(night) - Date.parse(first)) / 86_400_000));
      return h("path", { key: night, d: `M${at} 0V28`, style: { stroke: tint("fg.muted"), strokeDasharray: "2 2" } });
    }),
    h("path", { d: points(values, x, y), style: { ...line, stroke: tint("fg.info") } }),
    values.map((value, index) =>
      value !== null && (index === values.length - 1 || known.length === 1)
        ? h("circle", { key: index, cx: x(index), cy: y(value), r: 2, style: { fill: tint("fg.info") } })
        : null,
    ),
  );
};

const Bars = ({ values, first, label }) => {
  if (values.every((value) => value === null)) return h(Soft, null, "nothing yet");
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  const told = `${label}, ${first} to ${day(first, values.length - 1)}; most ${number(most)}`;
  const wide = 180 / values.length;
  return h(
    "svg",
    { width: "100%", height: 28, viewBox: "0 0 180 28", style: { maxWidth: 180, minWidth: 120 }, role: "img", "aria-label": told },
    h("title", null, told),
    values.map((value, index) =>
      value === null
        ? h("rect", { key: index, x: index * wide, y: 26, width: wide * 0.7, height: 2, style: { fill: tint("failed.solid") } })
        : h(
            "rect",
            {
              key: index,
              x: index * wide,
              y: 28 - (most ? (value / most) * 26 : 0) - 0.5,
              width: wide * 0.7,
              height: (most ? (value / most) * 26 : 0) + 0.5,
              style: { fill: tint("fg.info") },
            },
            h("title", null, `${day(first, index)}: ${number(value)}`),
          ),
    ),
  );
};

const LEFT = 52;

// Drawn as wide as there is room, so that its words are as large as others: `draw` makes it of a width in pixels.
const Sized = ({ draw }) => {
  const box = useRef(null);
  const [wide, setWide] = useState(900);
  useEffect(() => {
    const watch = new ResizeObserver(([{ contentRect }]) => contentRect.width && setWide(Math.max(contentRect.width, 260)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return h(C.Box, { ref: box }, draw(wide));
};

// What happened on which night, under a chart: [{night, words, colour}].
const Marks = ({ marks, x, height }) =>
  marks.map((mark, index) =>
    h(
      "g",
      { key: index },
      h("title", null, `${mark.night}: ${mark.words}`),
      h("path", { d: `M${x(mark.night)} 8V${height - 22}`, style: { stroke: tint(mark.colour), strokeWidth: 1.5 } }),
      h("circle", { cx: x(mark.night), cy: 8, r: 4, style: { fill: tint(mark.colour) } }),
      mark.short &&
        h("text", { x: x(mark.night) + 6, y: 12, style: { fill: tint("fg"), fontSize: 12 } }, mark.short),
    ),
  );

const Axes = ({ W, low, high, y, from, until, height }) => {
  const style = { fill: tint("fg.muted"), fontSize: 12 };
  return h(
    "g",
    null,
    Number.isFinite(low) && h("text", { x: 0, y: y(low), style }, number(low)),
    Number.isFinite(high) && h("text", { x: 0, y: y(high) + 4, style }, number(high)),
    h("path", { d: `M${LEFT} ${height - 22}H${W}`, style: { stroke: tint("border.emphasized") } }),
    h("text", { x: LEFT, y: height - 6, style }, from),
    h("text", { x: W, y: height - 6, textAnchor: "end", style }, until),
  );
};

const along = (nightsOf, W) => {
  const from = Date.parse(nightsOf[0].night);
  const whole = Math.max(Date.parse(nightsOf[nightsOf.length - 1].night) - from, 86_400_000);
  return (night) => LEFT + 6 + ((Date.parse(night) - from) / whole) * (W - LEFT - 12);
};

// The metric in time: by labels with its interval, as estimated before them, the gate's value, and what happened.
const Timeline = (props) => h(Sized, { draw: (W) => timeline(props, W) });
const timeline = ({ nightsOf, metric, marks }, W) => {
  const height = 220;
  const x = along(nightsOf, W);
  const at = (index) => x(nightsOf[index].night);
  const all = nightsOf.flatMap((n) => [n.value, n.low, n.high, n.estimate, n.baseline]);
  const known = all.filter((value) => value !== null);
  const y = scale(all, 22, height - 30);
  const band = nightsOf.filter((n) => n.low !== null && n.high !== null);
  const area =
    band.map((n, i) => `${i ? "L" : "M"}${x(n.night).toFixed(1)} ${y(n.high).toFixed(1)}`).join("") +
    [...band].reverse().map((n) => `L${x(n.night).toFixed(1)} ${y(n.low).toFixed(1)}`).join("");
  const last = [...nightsOf].reverse().find((n) => n.value !== null);
  const told =
    `${metric || "metric"} from ${nightsOf[0].night} to ${nightsOf[nightsOf.length - 1].night}; ` +
    (last ? `the last by labels: ${number(last.value)}${between(last.low, last.high)}` : "none by labels yet") +
    `; ${marks.map((m) => `${m.night} ${m.words}`).join(", ") || "nothing happened"}`;
  const line = { fill: "none", strokeWidth: 2 };
  return h(
    "svg",
    { viewBox: `0 0 ${W} ${height}`, width: "100%", role: "img", "aria-label": told, "data-chart": "timeline" },
    h(Axes, { W, low: Math.min(...known), high: Math.max(...known), y, from: nightsOf[0].night, until: nightsOf[nightsOf.length - 1].night, height }),
    area && h("path", { d: `${area}Z`, style: { fill: tint("fg.info"), opacity: 0.18 } }),
    h("path", { d: points(nightsOf.map((n) => n.baseline), at, y), style: { ...line, strokeWidth: 1, stroke: tint("fg.muted"), strokeDasharray: "1 3" } }),
    h("path", { d: points(nightsOf.map((n) => n.estimate), at, y), style: { ...line, stroke: tint("awaiting_input.solid"), strokeDasharray: "5 4" } }),
    h("path", { d: points(nightsOf.map((n) => n.value), at, y), style: { ...line, stroke: tint("fg.info") } }),
    nightsOf.map(
      (n) =>
        n.value !== null &&
        h(
          "circle",
          { key: n.night, cx: x(n.night), cy: y(n.value), r: nightsOf.length > 120 ? 1 : 2.5, style: { fill: n.provisional ? tint("bg") : tint("fg.info"), stroke: tint("fg.info") } },
          h("title", null, `${n.night}: ${number(n.value)}${between(n.low, n.high)}${n.provisional ? ", provisional" : ""}`),
        ),
    ),
    h(Marks, { marks, x, height }),
  );
};

// The evidence of harm and of a shift, on a scale of powers of ten; at the line a reason asks for retraining.
const Evidence = (props) => h(Sized, { draw: (W) => evidence(props, W) });
const evidence = ({ nightsOf, alarm, what, colour }, W) => {
  const height = 110;
  const x = along(nightsOf, W);
  const power = (value) => (value === null ? null : Math.log10(Math.max(value, 0.1)));
  const values = nightsOf.map((n) => power(n[what]));
  const y = scale([...values, power(alarm), -1], 10, height - 30);
  const last = [...nightsOf].reverse().find((n) => n[what] !== null);
  if (!last) return null;
  const told = `Evidence of ${what}: ${number(last[what], 1)} on ${last.night}, limit ${number(alarm)}`;
  return h(
    C.Box,
    { as: "figure", mt: 2 },
    h(C.Text, { as: "figcaption", fontSize: "sm" }, told),
    h(
      "svg",
      { viewBox: `0 0 ${W} ${height}`, width: "100%", role: "img", "aria-label": told },
      h("path", { d: `M${LEFT} ${y(power(alarm))}H${W}`, style: { stroke: tint("failed.solid"), strokeDasharray: "6 4" } }),
      h("text", { x: 0, y: y(power(alarm)) + 4, style: { fill: tint("fg.muted"), fontSize: 12 } }, number(alarm)),
      h("path", { d: points(values, (index) => x(nightsOf[index].night), y), style: { fill: "none", strokeWidth: 2, stroke: tint(colour) } }),
      values.map((value, index) =>
        value === null || nightsOf.length > 120
          ? null
          : h("circle", { key: index, cx: x(nightsOf[index].night), cy: y(value), r: 2.5, style: { fill: tint(colour) } }, h("title", null, `${nightsOf[index].night}: ${number(nightsOf[index][what], 1)}`)),
      ),
      h("text", { x: W, y: height - 8, textAnchor: "end", style: { fill: tint("fg.muted"), fontSize: 12 } }, last.night),
    ),
  );
};

// The training's shares of a feature's bins, and beside each the newest night's.
const Pairs = ({ histogram, night }) => {
  const { name, bins, then, now } = histogram;
  const most = Math.max(...then, ...(now ?? []), 0.01);
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const told = `${name}, share of rows: ${bins.map((bin, n) => `${bin}: ${percent(then[n])}${now ? `, now ${percent(now[n])}` : ""}`).join("; ")}`;
  const wide = 200 / bins.length;
  const bar = (value, n, of, colour) => h("rect", { key: `${n}-${of}`, x: n * wide + of * wide * 0.42, y: 40 - (value / most) * 38, width: wide * 0.38, height: (value / most) * 38 + 0.5, style: { fill: tint(colour) } }, h("title", null, `${bins[n]}: ${percent(value)} ${of ? `on ${night}` : "in training"}`));
  return h(
    "svg",
    { width: "100%", height: 41, viewBox: "0 0 200 41", style: { maxWidth: 200 }, role: "img", "aria-label": told, "data-chart": "histogram" },
    then.map((value, n) => bar(value, n, 0, "fg.subtle")),
    now && now.map((value, n) => bar(value, n, 1, "fg.info")),
  );
};

// A feature a line, a night a column: how far from the training, as a share of its limit. At 1 it counts as drifted.
const Heat = (props) => h(Sized, { draw: (W) => heat(props, Math.max(W, 560)) });
const heat = ({ features, heatNights }, W) => {
  const wide = (W - 190) / heatNights.length;
  const tall = 18;
  const told = `Drift of ${features.length} features over ${nights(heatNights.length)}: ${features
    .map((f) => `${f.name} ${number(f.psi[f.psi.length - 1], 2)}`)
    .join(", ")} of the limit`;
  return h(
    C.Box,
    { overflowX: "auto", tabIndex: 0, role: "region", "aria-label": "Heat map of drift" },
    h(
      "svg",
      { viewBox: `0 0 ${W} ${features.length * tall + 22}`, width: "100%", style: { minWidth: 560 }, role: "img", "aria-label": told, "data-chart": "heat" },
      features.map((feature, line) =>
        h(
          "g",
          { key: feature.name },
          h("text", { x: 0, y: line * tall + 13, style: { fill: tint("fg"), fontSize: 12 } }, feature.name.length > 26 ? `${feature.name.slice(0, 25)}…` : feature.name),
          feature.psi.map((value, index) =>
            h(
              "rect",
              {
                key: index,
                x: 190 + index * wide,
                y: line * tall,
                width: Math.max(wide - (wide > 4 ? 1 : 0), 0.5),
                height: tall - 2,
                style:
                  value === null
                    ? { fill: tint("bg.muted") }
                    : { fill: tint(value >= 1 ? "failed.solid" : "fg.info"), opacity: Math.min(1, value >= 1 ? 0.5 + value / 4 : 0.06 + value * 0.8) },
              },
              h("title", null, `${feature.name}, ${heatNights[index]}: ${number(value, 2)} of its limit`),
            ),
          ),
        ),
      ),
      h("text", { x: 190, y: features.length * tall + 14, style: { fill: tint("fg.muted"), fontSize: 12 } }, heatNights[0]),
      h("text", { x: W, y: features.length * tall + 14, textAnchor: "end", style: { fill: tint("fg.muted"), fontSize: 12 } }, heatNights[heatNights.length - 1]),
    ),
  );
};
