use super::*;
use futures::FutureExt;
use futures::future::join_all;

/// A slot with credentials that can be replaced, and a token server that counts.
struct Rig {
    slot: Arc<Slot>,
    credentials: Arc<Mutex<Result<String, String>>>,
    requests: Arc<AtomicU64>,
    answer: Mutex<Result<u64, Error>>,
}

impl Rig {
    fn new(lifetime: u64) -> Self {
        let credentials = Arc::new(Mutex::new(Ok("api-token-1".to_owned())));
        let kept = credentials.clone();
        let load: LoadCredentials = Arc::new(move || {
            let loaded = kept.lock().unwrap().clone();
            async move { Ok(ConnectionCredentials::ApiToken(loaded?.into())) }.boxed()
        });
        let slot = TokenCache::new(load).slot(None);
        Self { slot, credentials, requests: Arc::default(), answer: Mutex::new(Ok(lifetime)) }
    }

    fn answers(&self, answer: Result<u64, Error>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn credentials(&self, value: Result<&str, &str>) {
        *self.credentials.lock().unwrap() = value.map(str::to_owned).map_err(str::to_owned);
    }

    /// A token request takes a second; each token is named by its number.
    async fn token(&self) -> Result<Arc<AccessToken>, Error> {
        let answer = self.answer.lock().unwrap().clone();
        let requests = self.requests.clone();
        let request = |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
            let lifetime = Duration::from_secs(answer?);
            Ok(TokenResponse { token: format!("token-{number}").into(), lifetime, claims: TokenClaims::default() })
        };
        self.slot.token(request).await
    }

    async fn value(&self) -> Result<String, Error> {
        self.token().await.map(|token| token.expose().to_owned())
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn seconds(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[test]
fn long_tokens_are_renewed_three_minutes_early_and_short_ones_at_half_life() {
    for (lifetime, renewal) in [(1800, 1620), (600, 420), (360, 180), (300, 150), (10, 5), (0, 0)] {
        assert_eq!(renew_after(Duration::from_secs(lifetime)), Duration::from_secs(renewal), "{lifetime}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_calls_that_wait_share_one_token_request() {
    let rig = Rig::new(1800);
    let values = join_all((0..20).map(|_| rig.value())).await;
    assert!(values.iter().all(|value| value.as_deref() == Ok("token-1")));
    assert_eq!(rig.requests(), 1);
    assert_eq!(rig.slot.fresh().unwrap().expose(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires() {
    let rig = Rig::new(1800);
    rig.value().await.unwrap();
    seconds(1618).await;
    assert_eq!(rig.value().await.unwrap(), "token-1");
    seconds(2).await;
    assert!(rig.slot.fresh().is_none());
    assert_eq!(rig.value().await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_in_passing_leaves_the_token_in_use_until_it_expires() {
    let rig = Rig::new(1800);
    rig.value().await.unwrap();
    seconds(1650).await;
    let down = Error::Unavailable("down".into());
    rig.answers(Err(down.clone()));
    assert_eq!(rig.value().await.unwrap(), "token-1");
    assert_eq!(rig.value().await.unwrap(), "token-1");
    assert_eq!(rig.requests(), 2, "tried again after a pause only");
    seconds(10).await;
    assert_eq!(rig.value().await.unwrap(), "token-1");
    assert_eq!(rig.requests(), 3);
    seconds(150).await;
    assert_eq!(rig.value().await, Err(down));
    rig.answers(Ok(1800));
    assert_eq!(rig.value().await.unwrap(), "token-5");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_by_all_who_waited_for_it() {
    let rig = Rig::new(1800);
    let down = Error::Unavailable("down".into());
    rig.answers(Err(down.clone()));
    let values = join_all((0..20).map(|_| rig.value())).await;
    assert!(values.iter().all(|value| *value == Err(down.clone())));
    assert_eq!(rig.requests(), 1);
    assert_eq!(rig.value().await, Err(down), "who comes later tries again");
    assert_eq!(rig.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_canceled_token_request_is_left_to_the_next_call() {
    let rig = Rig::new(1800);
    let cut = tokio::time::timeout(Duration::from_millis(500), rig.value());
    let (cut, value) = futures::join!(cut, rig.value());
    assert!(cut.is_err());
    assert_eq!(value.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_tried_again_until_they_change_or_a_minute_has_passed() {
    let rig = Rig::new(1800);
    let refused = Error::Credentials("refused".into());
    rig.answers(Err(refused.clone()));
    for _ in 0..5 {
        assert_eq!(rig.value().await, Err(refused.clone()));
    }
    assert_eq!(rig.requests(), 1);
    seconds(60).await;
    assert_eq!(rig.value().await, Err(refused.clone()));
    assert_eq!(rig.requests(), 2);
    rig.credentials(Ok("api-token-2"));
    rig.answers(Ok(1800));
    assert_eq!(rig.value().await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_read_are_a_fault_without_a_call() {
    let rig = Rig::new(1800);
    rig.credentials(Err("Secret a/b does not exist"));
    let error = rig.value().await.unwrap_err();
    assert_eq!(error, Error::Credentials("no credentials for the API: Secret a/b does not exist".into()));
    assert_eq!(rig.requests(), 0);
    rig.credentials(Ok("api-token-1"));
    assert_eq!(rig.value().await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_dropped_once_however_many_ask() {
    let rig = Rig::new(1800);
    let old = rig.token().await.unwrap();
    let renew = || async {
        rig.slot.drop_token(&old).await;
        rig.value().await
    };
    let values = join_all((0..20).map(|_| renew())).await;
    assert!(values.iter().all(|value| value.as_deref() == Ok("token-2")));
    assert_eq!(rig.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_is_refused_condemns_its_credentials() {
    let rig = Rig::new(1800);
    let (old, error) = (rig.token().await.unwrap(), Error::Credentials("refused".into()));
    rig.slot.drop_token(&old).await;
    let new = rig.token().await.unwrap();
    assert_eq!(rig.slot.refuse(&old, error.clone()).await, error, "an old token says nothing about the new one");
    assert_eq!(rig.value().await.unwrap(), "token-2");
    rig.slot.refuse(&new, error.clone()).await;
    assert_eq!(rig.value().await, Err(error));
    assert_eq!(rig.requests(), 2);
}

#[test]
fn each_organization_has_a_token_of_its_own() {
    let load: LoadCredentials = Arc::new(|| async { Err("never".into()) }.boxed());
    let tokens = TokenCache::new(load);
    let org = |id: &str| Some(OrgId(id.into()));
    assert!(Arc::ptr_eq(&tokens.slot(org("a")), &tokens.slot(org("a"))));
    assert!(!Arc::ptr_eq(&tokens.slot(org("a")), &tokens.slot(org("b"))));
    assert!(!Arc::ptr_eq(&tokens.slot(org("a")), &tokens.slot(None)));
}

#[tokio::test(start_paused = true)]
async fn tokens_of_invented_organizations_are_forgotten_and_those_in_use_are_kept() {
    let load: LoadCredentials =
        Arc::new(|| async { Ok(ConnectionCredentials::ApiToken("a".to_owned().into())) }.boxed());
    let tokens = TokenCache::new(load);
    let request = |answer: Result<(), Error>| async move {
        let (token, lifetime) = ("token".to_owned().into(), Duration::from_secs(86_400));
        answer.map(|()| TokenResponse { token, lifetime, claims: TokenClaims::default() })
    };
    let real = tokens.slot(Some(OrgId("real".into())));
    real.token(|_| request(Ok(()))).await.unwrap();
    drop(real);
    for n in 0..10_000 {
        let slot = tokens.slot(Some(OrgId(format!("made-up-{n}"))));
        let refused = slot.token(|_| request(Err(Error::Forbidden("no such organization".into())))).await;
        assert!(refused.is_err());
        seconds(1).await;
    }
    assert!(tokens.slots().len() < 200);
    assert!(tokens.fresh(Some(OrgId("real".into()))).is_some());
    assert_eq!(tokens.any_organization(), Some(OrgId("real".into())));
}
