// --- Which page: by the address in the navigation, by the DAG in its tab ----------------------------------------------

const OF_MODEL = /^(?:train|score|monitor|retrain|rollback|reproduce|predict|replay_policies)_(.+)$/;
const OF_DATA = /^(?:collect|replay_quarantine|reconcile|explore_source|features|explore_features)_(.+)$/;

const Pages = () => {
  const parts = Router.useLocation().pathname.split("/nightshift")[1]?.split("/").filter(Boolean).map(decodeURIComponent) ?? [];
  const [page, name] = parts;
  if (page === "models" && name) return h(ModelPage, { key: name, name });
  if (page === "nights") return h(NightPage, { night: name });
  if (page === "data") return h(DataPage);
  if (page === "alerts") return h(AlertsPage);
  return h(FleetPage);
};

const Tab = ({ dagId }) => {
  const model = dagId.match(OF_MODEL);
  if (model) return h(ModelPage, { name: model[1] });
  const data = dagId.match(OF_DATA);
  if (data) return h(DataPage, { query: data[1] });
  return h(Page, { title: dagId }, h(C.Text, null, "This DAG is of no model and of no data."));
};

const themed = (Shown) => (props) => h(C.ChakraProvider, { value: globalThis.ChakraUISystem }, h(Shown, props));

// Airflow looks for a component of each registration by its name.
globalThis["Fleet"] = themed(Pages);
globalThis["Model"] = themed(Tab);
globalThis["Nightshift Cockpit"] = themed(HomeCard);
