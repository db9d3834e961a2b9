//! Who wins, and what is refused.

use super::*;

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), text).unwrap();
    folder
}

fn load(text: &str) -> Result<Layers, ConfigError> {
    Layers::load(folder(text).path(), |_| None, Vec::new())
}

#[test]
fn the_command_line_beats_the_environment_which_beats_the_file() {
    let file = folder("[p2p]\nlisten = [\"/ip4/127.0.0.1/tcp/1\"]\n[log]\nlevel = \"warn\"\n");
    let environment = |name: &str| (name == "HOSPES_P2P_LISTEN").then(|| "/ip4/127.0.0.1/tcp/2".to_owned());
    let origin = |overrides| {
        let layers = Layers::load(file.path(), environment, overrides).unwrap();
        layers.0["p2p.listen"].1.to_string()
    };
    assert_eq!(origin(Vec::new()), "environment HOSPES_P2P_LISTEN", "the variable beats the file");
    let over = vec![("p2p.listen", Setting::Texts(vec!["/ip4/127.0.0.1/tcp/3".into()]))];
    assert_eq!(origin(over), "command line", "the option beats the variable");
    let layers = Layers::load(file.path(), |_| None, Vec::new()).unwrap();
    assert!(layers.0["log.level"].1.to_string().ends_with(FILE), "the file beats the default");
    assert_eq!(layers.0["log.format"].1, Origin::Default, "what nobody set");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = load("[p2p]\nlisen = []\n").unwrap_err().to_string();
    assert!(error.contains("unknown key `p2p.lisen`; the nearest is `p2p.listen`"), "{error}");
    let error = load("cards = []\n").unwrap_err().to_string();
    assert!(error.contains("unknown key `cards`"), "{error}");
    assert!(load("[p2p]\nlisten = []\n").is_ok(), "the right one is taken");
}

#[test]
fn a_value_of_another_form_is_refused() {
    for text in
        ["[store]\ncache_mib = -1\n", "[store]\ncache_mib = \"64\"\n", "[p2p]\nlisten = \"x\"\n", "x x"]
    {
        assert!(load(text).is_err(), "{text}");
    }
    let environment = |name: &str| (name == "HOSPES_STORE_CACHE_MIB").then(|| "many".to_owned());
    let refused = Layers::load(folder("").path(), environment, Vec::new());
    assert!(refused.is_err(), "in the environment too");
}

#[test]
fn values_are_judged_before_a_node_starts() {
    let bad = [
        "[api]\nlisten = \"0.0.0.0:7171\"\n",
        "[api]\nlisten = \"7171\"\n",
        "[p2p]\nlisten = [\"127.0.0.1:1\"]\n",
        "[p2p]\nbootstrap = [\"/ip4/127.0.0.1/tcp/1\"]\n",
        "[log]\nformat = \"xml\"\n",
        "[log]\nlevel = \"=,=\"\n",
        "[store]\ncache_mib = 0\n",
        "[card]\nreaders = [\"pcsc: \"]\n",
    ];
    for text in bad {
        assert!(load(text).unwrap().judge().is_err(), "{text}");
    }
    let config = load("[api]\nlisten = \"127.0.0.1:0\"\n").unwrap().judge().unwrap();
    assert_eq!((config.api.port(), config.cache_mib), (0, 64), "port 0 is allowed, defaults hold");
}
