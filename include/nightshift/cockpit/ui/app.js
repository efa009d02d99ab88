// --- Which page: by the address in the navigation, by the DAG in its tab ----------------------------------------------

const OF_MODEL = /^(?:train|score|monitor|retrain|rollback|reproduce|predict|replay_policies)_(.+)$/;
const OF_SOURCE = /^(?:collect|replay_quarantine|reconcile|explore_source)_(.+)$/;
const OF_FEATURES = /^(?:features|explore_features)_(.+)$/;

const plain = (part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

const Pages = () => {
  const below = Router.useLocation().pathname.split(`${HOME}/`)[1] ?? "";
  const [page, name] = below.split("/").filter(Boolean).map(plain);
  if (page === "models" && name) return h(ModelPage, { key: name, name });
  if (page === "nights") return h(NightPage, { night: name });
  if (page === "data") return h(DataPage);
  if (page === "alerts") return h(AlertsPage);
  return h(FleetPage);
};

const Tab = ({ dagId }) => {
  const model = dagId.match(OF_MODEL);
  if (model) return h(ModelPage, { name: model[1] });
  const source = dagId.match(OF_SOURCE);
  const features = dagId.match(OF_FEATURES);
  if (source || features) return h(DataPage, { dag: source ? `collect_${source[1]}` : `features_${features[1]}` });
  return h(Page, { title: dagId }, h(C.Text, null, "This DAG is of no model and of no data."));
};

const themed = (Shown) => (props) => h(C.ChakraProvider, { value: globalThis.ChakraUISystem }, h(Shown, props));

// Airflow looks for a component of each registration by its name.
globalThis["Fleet"] = themed(Pages);
globalThis["Model"] = themed(Tab);
globalThis["Nightshift Cockpit"] = themed(HomeCard);
