//! What `deploy/kubernetes` has, beside what the program offers: there is no cluster here.

use std::collections::BTreeMap;

use cidery::codec::proto::externalscaler as keda;
use cidery::codec::proto::externalscaler::external_scaler_client::ExternalScalerClient;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::configuration::{objects, run_in};
use crate::support::binary::{cidery, stderr, stdout};
use crate::support::{Folder, TestNode};

const PAGE: &str = include_str!("../../docs/kubernetes.md");
/// Where the manifests have the file of configuration.
const CONFIG: &str = "/etc/cidery/cidery.toml";
const PORT: i64 = 24337;

/// A manifest of a kind.
fn manifest(kind: &str) -> Yaml {
    let files = [
        include_str!("../../deploy/kubernetes/node.yaml"),
        include_str!("../../deploy/kubernetes/workers.yaml"),
        include_str!("../../deploy/kubernetes/monitoring.yaml"),
    ];
    let mut documents = files
        .iter()
        .flat_map(|file| YamlLoader::load_from_str(file).unwrap());
    let found = documents.find(|document| text(&document["kind"]) == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

#[track_caller]
fn text(yaml: &Yaml) -> &str {
    yaml.as_str().unwrap_or_else(|| panic!("no text: {yaml:?}"))
}

fn texts(yaml: &Yaml) -> Vec<&str> {
    yaml.as_vec().unwrap().iter().map(text).collect()
}

fn pairs(yaml: &Yaml) -> BTreeMap<&str, &str> {
    let pairs = yaml.as_hash().unwrap().iter();
    pairs
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn pod(kind: &str) -> Yaml {
    manifest(kind)["spec"]["template"].clone()
}

/// The only container of a pod.
fn container(pod: &Yaml) -> &Yaml {
    &pod["spec"]["containers"][0]
}

/// The options that the node of the manifests has, as the program itself says.
fn options() -> BTreeMap<String, Value> {
    let pod = pod("StatefulSet");
    let folder = Folder::new("kubernetes");
    let file = folder.path().join("cidery.toml");
    std::fs::write(&file, text(&manifest("ConfigMap")["data"]["cidery.toml"])).unwrap();
    let arguments = texts(&container(&pod)["args"]);
    let [serve, options @ ..] = &arguments[..] else {
        panic!("the container has arguments");
    };
    assert_eq!(*serve, "serve");
    assert!(options.contains(&CONFIG));
    let file = file.to_str().unwrap();
    let own = options
        .iter()
        .map(|it| if *it == CONFIG { file } else { it });
    let arguments: Vec<_> = ["config", "show", "-o", "jsonl"]
        .into_iter()
        .chain(own)
        .collect();
    let variables = container(&pod)["env"].as_vec().unwrap().iter();
    let variables: Vec<_> = variables
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect();
    let output = run_in(folder.path(), &arguments, &variables);
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = objects(&output).into_iter();
    shown
        .map(|option| {
            (
                option["key"].as_str().unwrap().to_owned(),
                option["value"].clone(),
            )
        })
        .collect()
}

#[test]
fn the_node_accepts_its_options_variables_and_file() {
    let options = options();
    let pod = pod("StatefulSet");
    assert_eq!(options["listen"], format!("0.0.0.0:{PORT}"));
    assert_eq!(options["insecure"], true);
    let mounts = container(&pod)["volumeMounts"].as_vec().unwrap();
    let mount = |name: &str| {
        mounts
            .iter()
            .find(|mount| text(&mount["name"]) == name)
            .unwrap()
    };
    assert_eq!(options["data_dir"], text(&mount("data")["mountPath"]));
    assert!(CONFIG.starts_with(text(&mount("config")["mountPath"])));
    // The drain timeout, the grace period of 5 s, and as long again for connections.
    assert_eq!(
        (&options["drain"], &options["limits.grace"]),
        (&"30s".into(), &"5s".into())
    );
    assert_eq!(
        pod["spec"]["terminationGracePeriodSeconds"].as_i64(),
        Some(45)
    );
}

#[test]
fn ports_names_and_labels_fit_together() {
    let (set, service) = (manifest("StatefulSet"), manifest("Service"));
    let pod = pod("StatefulSet");
    let labels = pairs(&pod["metadata"]["labels"]);
    assert_eq!(set["spec"]["replicas"].as_i64(), Some(1));
    assert_eq!(pairs(&set["spec"]["selector"]["matchLabels"]), labels);
    assert_eq!(pairs(&service["spec"]["selector"]), labels);
    let name = text(&service["metadata"]["name"]);
    assert_eq!(text(&set["spec"]["serviceName"]), name);
    let port = &service["spec"]["ports"][0];
    let own = &container(&pod)["ports"][0];
    assert_eq!(
        (port["port"].as_i64(), own["containerPort"].as_i64()),
        (Some(PORT), Some(PORT))
    );
    assert_eq!(text(&port["targetPort"]), text(&own["name"]));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(
            container(&pod)[probe]["grpc"]["port"].as_i64(),
            Some(PORT),
            "{probe}"
        );
    }
    let policy = manifest("NetworkPolicy");
    assert_eq!(pairs(&policy["spec"]["podSelector"]["matchLabels"]), labels);
    let ingress = &policy["spec"]["ingress"][0];
    assert_eq!(ingress["ports"][0]["port"].as_i64(), Some(PORT));
    // Workers are admitted by their label, and find the node by its name.
    let workers = self::pod("Deployment");
    let admitted = pairs(&ingress["from"][0]["podSelector"]["matchLabels"]);
    let labels = pairs(&workers["metadata"]["labels"]);
    assert!(
        admitted
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    );
    let variable = &container(&workers)["env"][0];
    let node = (text(&variable["name"]), text(&variable["value"]));
    assert_eq!(node, ("CIDERY_NODE", &*format!("{name}:{PORT}")));
}

#[test]
fn metrics_are_read_where_they_are() {
    let pod = pod("StatefulSet");
    let annotations = pairs(&pod["metadata"]["annotations"]);
    assert_eq!(annotations["prometheus.io/port"], PORT.to_string());
    // `metrics::exposition` reads this path.
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
    let (monitor, service) = (manifest("ServiceMonitor"), manifest("Service"));
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(text(&endpoint["path"]), "/metrics");
    assert_eq!(endpoint["port"], service["spec"]["ports"][0]["name"]);
    let labels = pairs(&service["metadata"]["labels"]);
    assert_eq!(pairs(&monitor["spec"]["selector"]["matchLabels"]), labels);
}

#[tokio::test]
async fn the_scaler_takes_what_keda_sends() {
    let object = manifest("ScaledObject");
    let target = &object["spec"]["scaleTargetRef"]["name"];
    assert_eq!(*target, manifest("Deployment")["metadata"]["name"]);
    let trigger = &object["spec"]["triggers"][0];
    let metadata = pairs(&trigger["metadata"]);
    let service = manifest("Service");
    let own = format!("{}.", text(&service["metadata"]["name"]));
    let address = metadata["scalerAddress"];
    assert!(address.starts_with(&own) && address.ends_with(&format!(":{PORT}")));
    let node = TestNode::demo().await;
    let address = format!("http://{}", node.address());
    let mut scaler = ExternalScalerClient::connect(address).await.unwrap();
    let request = keda::ScaledObjectRef {
        name: text(&object["metadata"]["name"]).to_owned(),
        namespace: "default".to_owned(),
        scaler_metadata: metadata
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    };
    let specs = scaler.get_metric_spec(request.clone()).await.unwrap();
    let [spec] = &specs.into_inner().metric_specs[..] else {
        panic!("one metric");
    };
    assert_eq!(spec.target_size, 50);
    // Nothing waits.
    assert!(!scaler.is_active(request).await.unwrap().into_inner().result);
}

/// The probe of the page has a command with options of the program.
#[test]
fn the_probe_with_tls_is_a_command() {
    let block = PAGE.split("```yaml\n").nth(1).unwrap();
    let block = YamlLoader::load_from_str(block.split("```").next().unwrap()).unwrap();
    let command = texts(&block[0]["readinessProbe"]["exec"]["command"]);
    let [program, verb, options @ ..] = &command[..] else {
        panic!("a command");
    };
    assert_eq!((*program, *verb), ("/usr/bin/cidery", "health"));
    let help = stdout(&cidery().args([verb, "--help"]).output().unwrap());
    for option in options.iter().filter(|it| it.starts_with("--")) {
        assert!(help.contains(&format!("{option} ")), "{option}");
    }
    let file = include_str!("../../deploy/Containerfile");
    assert!(file.contains(&format!("ENTRYPOINT [\"{program}\"]")));
}
