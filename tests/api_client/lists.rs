//! The lists of the APIs end in every way that the documentation and other clients know of.
//! Each list is read to its last entry, in no more calls than that takes.

use crate::env::{ALL, BOTH, CPN, CSP, TestEnv, app, id, org};
use iam_simulator::types::{Flavor, LastPage, Operation};
use oauth_app_operator::crd::Roles;
use oauth_app_operator::iam::http::HttpIam;
use oauth_app_operator::iam::{Iam, Lookup};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const LISTS: [(Flavor, Operation); 3] =
    [(CSP, Operation::ListApps), (CPN, Operation::ListApps), (CSP, Operation::ListClients)];
/// How a list ends, whether it says its length, and in how many calls four entries are read two by two.
const ENDS: [(LastPage, bool, u64); 6] = [
    (LastPage::NoLink, true, 2),
    (LastPage::NoLink, false, 2),
    (LastPage::Empty, true, 2),
    (LastPage::Empty, false, 3),
    (LastPage::Growing, true, 2),
    (LastPage::Growing, false, 3),
];

/// A simulator with four apps that were added to their organization, in each API.
async fn with_four_apps() -> TestEnv {
    let env = TestEnv::new().await;
    env.control.set(|s| s.cpn_offers.list = true).await.unwrap();
    for flavor in BOTH {
        let iam = env.iam(flavor);
        for name in (1..=4).map(|n| format!("billing-{n}")) {
            iam.create(&org(), &app(flavor, &name)).await.unwrap();
            iam.add_to_organization(&org(), &id(&name), None, &Roles::default()).await.unwrap();
        }
    }
    env
}

/// Whether the list shows the last app, and none that is not there.
async fn is_read_whole(iam: &HttpIam, list: Operation) -> bool {
    let (last, absent) = (id("billing-4"), id("absent-app"));
    match list {
        Operation::ListClients => {
            iam.roles(&org(), &last, MINUTE).await.unwrap().is_some()
                && iam.roles(&org(), &absent, MINUTE).await == Ok(None)
        }
        _ => {
            matches!(iam.find(&org(), &last, MINUTE).await, Ok(Lookup::Listed(_)))
                && iam.find(&org(), &absent, MINUTE).await == Ok(Lookup::NotListed)
        }
    }
}

#[tokio::test]
async fn a_list_ends_in_every_way() {
    let env = with_four_apps().await;
    for (last_page, shows_total, calls) in ENDS {
        let ending = |s: &mut iam_simulator::types::Settings| {
            s.last_page = last_page;
            s.shows_total = shows_total;
            s.max_page_limit = 2;
        };
        env.control.set(ending).await.unwrap();
        for (flavor, list) in LISTS {
            env.control.clear_calls().await.unwrap();
            let iam = env.iam_managing(flavor, &[id("billing-4")]);
            assert!(is_read_whole(&iam, list).await, "{flavor:?} {list:?} {last_page:?} {shows_total}");
            assert_eq!(env.count(list).await, calls, "{flavor:?} {list:?} {last_page:?} {shows_total}");
        }
    }
}

#[tokio::test]
async fn an_empty_list_is_one_call() {
    for last_page in [LastPage::NoLink, LastPage::Empty, LastPage::Growing] {
        let env = TestEnv::new().await;
        env.control
            .set(|s| {
                s.cpn_offers.list = true;
                s.last_page = last_page;
                s.shows_total = false;
            })
            .await
            .unwrap();
        for flavor in ALL {
            let found = env.iam(flavor).find(&org(), &id("absent-app"), MINUTE).await;
            assert_eq!(found, Ok(Lookup::NotListed), "{flavor:?} {last_page:?}");
        }
        assert_eq!(env.count(Operation::ListApps).await, 3, "{last_page:?}");
    }
}
