use super::*;

fn servers(addresses: &[&str]) -> Servers {
    let addresses = addresses.iter().map(|address| Address::parse(address).unwrap());
    Servers::new(addresses, Duration::from_secs(1)).unwrap()
}

/// Makes one round in which each server answers as told: `x:1>y:1` stands by and names the leader,
/// `x:1>` stands by and knows none, `x:1` is away, and `x:1!` answers. Says whom it asked.
fn asked(servers: &Servers, answers: &[&str]) -> String {
    let mut round = servers.begin();
    let mut asked = Vec::new();
    loop {
        let address = round.server().address().to_string();
        asked.push(address.clone());
        assert!(asked.len() < 10, "the round ends: {asked:?}");
        let answer = answers.iter().find_map(|answer| answer.strip_prefix(address.as_str()));
        let not_leader = match answer.unwrap_or_else(|| panic!("{address} is not asked")) {
            "!" => {
                servers.settle(&round);
                break;
            }
            "" => None,
            named => {
                let leader = named.strip_prefix('>').filter(|leader| !leader.is_empty());
                Some(NotLeader { leader: leader.map(str::to_owned), retry_delay: None })
            }
        };
        if servers.advance(&mut round, not_leader.as_ref()) == Step::Over {
            break;
        }
    }
    asked.join(" ")
}

#[tokio::test]
async fn the_leader_that_is_named_is_asked_next_and_first_from_then_on() {
    let servers = servers(&["a:1", "b:1", "c:1"]);
    let answers = ["a:1>c:1", "c:1!"];
    assert_eq!(asked(&servers, &answers), "a:1 c:1");
    assert_eq!(asked(&servers, &answers), "c:1");
    // It does not lead any more.
    assert_eq!(asked(&servers, &["c:1>b:1", "b:1!"]), "c:1 b:1");
    assert_eq!(asked(&servers, &["b:1!"]), "b:1");
}

#[tokio::test]
async fn without_a_leader_each_server_is_asked_once() {
    let servers = servers(&["a:1", "b:1", "c:1"]);
    assert_eq!(asked(&servers, &["a:1>", "b:1", "c:1>"]), "a:1 b:1 c:1");
    // The next round begins elsewhere or not; it is as long.
    assert_eq!(asked(&servers, &["a:1>", "b:1!"]), "a:1 b:1");
    assert_eq!(asked(&servers, &["b:1!"]), "b:1");
}

#[tokio::test]
async fn servers_that_name_each_other_are_asked_once_each() {
    let servers = servers(&["a:1", "b:1", "c:1"]);
    assert_eq!(asked(&servers, &["a:1>b:1", "b:1>a:1", "c:1>b:1"]), "a:1 b:1 c:1");
    assert_eq!(asked(&servers, &["a:1>a:1", "b:1>a:1", "c:1!"]), "a:1 b:1 c:1");
}

#[tokio::test]
async fn a_leader_that_is_not_in_the_list_is_learned_and_forgotten_when_it_is_away() {
    let servers = servers(&["a:1", "b:1"]);
    assert_eq!(asked(&servers, &["a:1>x:1", "x:1!"]), "a:1 x:1");
    assert_eq!(asked(&servers, &["x:1!"]), "x:1");
    // It names the next one itself.
    assert_eq!(asked(&servers, &["x:1>y:1", "y:1!"]), "x:1 y:1");
    // It is away, and those that stand by have not noticed yet.
    assert_eq!(asked(&servers, &["y:1", "a:1>y:1", "b:1>y:1"]), "y:1 a:1 b:1");
    assert_eq!(asked(&servers, &["a:1>b:1", "b:1!"]), "a:1 b:1");
}

#[tokio::test]
async fn a_dead_leader_outside_the_list_leaves_the_list_to_be_asked() {
    let servers = servers(&["a:1", "b:1"]);
    assert_eq!(asked(&servers, &["a:1>x:1", "x:1", "b:1!"]), "a:1 x:1 b:1");
    assert_eq!(asked(&servers, &["b:1!"]), "b:1");
}

#[tokio::test]
async fn a_chain_of_strangers_is_not_followed_for_ever() {
    let servers = servers(&["a:1", "b:1"]);
    let answers = ["a:1>v:1", "v:1>w:1", "w:1>x:1", "b:1>y:1"];
    assert_eq!(asked(&servers, &answers), "a:1 v:1 w:1 b:1");
}

#[tokio::test]
async fn what_is_no_address_names_nobody() {
    let servers = servers(&["a:1", "b:1"]);
    assert_eq!(asked(&servers, &["a:1>https://b:1/x", "b:1!"]), "a:1 b:1");
}

#[tokio::test]
async fn a_leader_is_found_in_the_list_whatever_the_case_of_its_name() {
    let servers = servers(&["a:1", "B:1"]);
    let mut round = servers.begin();
    let named = NotLeader { leader: Some("b:1".into()), retry_delay: None };
    assert_eq!(servers.advance(&mut round, Some(&named)), Step::Leader);
    assert_eq!((round.server().address().as_str(), round.learned), ("B:1", 0));
}

#[tokio::test]
async fn late_news_of_a_server_that_others_have_left_moves_nobody() {
    let servers = servers(&["a:1", "b:1", "c:1"]);
    let mut late = servers.begin();
    assert_eq!(asked(&servers, &["a:1>c:1", "c:1!"]), "a:1 c:1");
    assert_eq!(servers.advance(&mut late, None), Step::Next);
    assert_eq!(late.server().address().as_str(), "b:1");
    assert_eq!(servers.begin().server().address().as_str(), "c:1");
    servers.settle(&servers.begin());
    assert_eq!(servers.begin().server().address().as_str(), "c:1");
}
