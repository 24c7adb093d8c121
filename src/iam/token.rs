//! Access tokens: got once for all who wait, renewed before they expire, dropped when the API refuses them.
//! Credentials that were refused are not tried again until they change or a minute has passed.

use super::scrub::KnownSecrets;
use super::{ApiCredentials, ClientId, Error, LoadCredentials, OrgId, TokenClaims};
use crate::keyed::PrunedMap;
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed that long before it expires, or at half its life if that is later. [wavefront-sdk, tanzu-framework]
const EARLY: Duration = Duration::from_secs(180);
/// While the token still serves, a renewal that failed for a passing reason is tried again after this.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// How long refused credentials are not tried again.
const REFUSAL_LASTS: Duration = Duration::from_secs(60);

/// What an exchange brought.
pub struct TokenResponse {
    /// The access token.
    pub token: SecretString,
    /// How long it lives.
    pub lifetime: Duration,
    /// What it says of itself.
    pub claims: TokenClaims,
}

/// An access token and the credentials that it came from.
pub struct AccessToken {
    value: SecretString,
    claims: TokenClaims,
    credentials: ApiCredentials,
    known: KnownSecrets,
    renew_at: Instant,
    expires_at: Instant,
}

impl AccessToken {
    fn new(granted: TokenResponse, credentials: ApiCredentials, asked_at: Instant) -> Self {
        let known = KnownSecrets::of(&credentials).with(granted.token.expose_secret());
        let (renew_at, expires_at) = (asked_at + renew_after(granted.lifetime), asked_at + granted.lifetime);
        Self { value: granted.token, claims: granted.claims, credentials, known, renew_at, expires_at }
    }

    /// For the header of a call.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// What it says of itself.
    pub fn claims(&self) -> &TokenClaims {
        &self.claims
    }

    /// Whether it came from the credentials of this app.
    pub fn is_of(&self, app: &ClientId) -> bool {
        match &self.credentials {
            ApiCredentials::Client { id, .. } => *id == app.0,
            ApiCredentials::ApiToken(_) => false,
        }
    }

    /// The secrets that an answer to a call with this token could repeat.
    pub fn known(&self) -> &KnownSecrets {
        &self.known
    }
}

/// When to renew a token of that lifetime.
fn renew_after(lifetime: Duration) -> Duration {
    lifetime - EARLY.min(lifetime / 2)
}

/// The tokens of a connection.
pub struct Tokens {
    load: LoadCredentials,
    slots: Mutex<PrunedMap<Option<OrgId>, Arc<Slot>>>,
}

impl Tokens {
    /// With credentials that are read again for each exchange.
    pub fn new(load: LoadCredentials) -> Self {
        Self { load, slots: Mutex::default() }
    }

    /// The slot of the token for this organization, or of the one for the organization that owns the credentials.
    pub fn slot(&self, org: Option<OrgId>) -> Arc<Slot> {
        let of_use = |_: &Option<OrgId>, slot: &Arc<Slot>| Arc::strong_count(slot) > 1 || slot.is_of_use();
        self.slots().get_or_insert_with(org, || Arc::new(Slot::new(self.load.clone())), of_use).clone()
    }

    /// The same with its token, if there is one that needs no renewal.
    pub fn fresh(&self, org: Option<OrgId>) -> Option<Held> {
        let slot = self.slots().get(&org)?.clone();
        slot.fresh().map(|token| Held { slot, token })
    }

    /// The first organization for which there is a token that needs no renewal.
    pub fn served(&self) -> Option<OrgId> {
        let slots = self.slots();
        let fresh = slots.iter().filter(|(_, slot)| slot.fresh().is_some());
        fresh.filter_map(|(org, _)| org.clone()).min()
    }

    fn slots(&self) -> MutexGuard<'_, PrunedMap<Option<OrgId>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the tokens that came from other credentials than these, which are those of now.
    pub fn keep_only(&self, credentials: &ApiCredentials) {
        let slots = self.slots();
        // A slot that is locked is being renewed, with credentials that were read just now.
        for mut state in slots.iter().filter_map(|(_, slot)| slot.state.try_lock().ok()) {
            state.held = state.held.take().filter(|token| token.credentials == *credentials);
        }
    }
}

/// A token and the slot that keeps it.
pub struct Held {
    /// The slot.
    pub slot: Arc<Slot>,
    /// The token.
    pub token: Arc<AccessToken>,
}

/// One token. Who renews it holds the lock, so all others wait for that one exchange; whoever is cut off in
/// the middle of it leaves it to the next.
pub struct Slot {
    load: LoadCredentials,
    state: tokio::sync::Mutex<State>,
    failures: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Arc<AccessToken>>,
    pause_until: Option<Instant>,
    refusal: Option<Refusal>,
    last_failure: Option<Error>,
}

struct Refusal {
    credentials: ApiCredentials,
    fault: Error,
    until: Instant,
}

impl Slot {
    fn new(load: LoadCredentials) -> Self {
        Self { load, state: tokio::sync::Mutex::default(), failures: AtomicU64::new(0) }
    }

    /// Whether it holds something that a new slot would not.
    fn is_of_use(&self) -> bool {
        let now = Instant::now();
        self.state.try_lock().is_ok_and(|state| {
            state.held.as_ref().is_some_and(|token| now < token.expires_at)
                || state.refusal.as_ref().is_some_and(|refusal| now < refusal.until)
        })
    }

    /// The token if it needs no renewal: no wait for an exchange, no call.
    pub fn fresh(&self) -> Option<Arc<AccessToken>> {
        self.state.try_lock().ok().and_then(|state| state.fresh())
    }

    /// The token, after an exchange if need be. A failure is shared by all who waited for it.
    pub async fn token<F, A>(&self, exchange: F) -> Result<Arc<AccessToken>, Error>
    where
        F: FnOnce(ApiCredentials) -> A + Send,
        A: Future<Output = Result<TokenResponse, Error>> + Send,
    {
        let failures = self.failures.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(token) = state.fresh() {
            return Ok(token);
        }
        match &state.last_failure {
            Some(fault) if self.failures.load(Ordering::Acquire) != failures => return Err(fault.clone()),
            Some(_) | None => {}
        }
        match self.renew(&mut state, exchange).await {
            Ok(token) => Ok(token),
            Err(fault) => match state.still_good(&fault) {
                Some(token) => Ok(token),
                None => {
                    state.last_failure = Some(fault.clone());
                    self.failures.fetch_add(1, Ordering::Release);
                    Err(fault)
                }
            },
        }
    }

    async fn renew<F, A>(&self, state: &mut State, exchange: F) -> Result<Arc<AccessToken>, Error>
    where
        F: FnOnce(ApiCredentials) -> A + Send,
        A: Future<Output = Result<TokenResponse, Error>> + Send,
    {
        let load = (self.load)().await;
        let credentials = load.map_err(|error| Error::Credentials(format!("no credentials for the API: {error}")))?;
        state.refused(&credentials)?;
        let asked_at = Instant::now();
        match exchange(credentials.clone()).await {
            Ok(granted) => {
                let token = Arc::new(AccessToken::new(granted, credentials, asked_at));
                *state = State { held: Some(token.clone()), ..State::default() };
                Ok(token)
            }
            Err(fault) => {
                if matches!(fault, Error::Credentials(_) | Error::WrongOrganization(_) | Error::Forbidden(_)) {
                    state.refuse(credentials, fault.clone());
                }
                Err(fault)
            }
        }
    }

    /// The API refuses this token; unless another has taken its place, the next call gets a new one.
    pub async fn drop_token(&self, token: &Arc<AccessToken>) {
        let mut state = self.state.lock().await;
        if state.holds(token) {
            state.held = None;
        }
    }

    /// The API refuses a token that was got just now: its credentials are not tried again for a while.
    pub async fn refuse(&self, token: &Arc<AccessToken>, fault: Error) -> Error {
        let mut state = self.state.lock().await;
        if state.holds(token) {
            state.refuse(token.credentials.clone(), fault.clone());
        }
        fault
    }
}

impl State {
    fn fresh(&self) -> Option<Arc<AccessToken>> {
        let now = Instant::now();
        let paused = self.pause_until.is_some_and(|until| now < until);
        self.held.clone().filter(|token| now < token.expires_at && (paused || now < token.renew_at))
    }

    /// A token that waits for its renewal serves on when the renewal failed for a passing reason.
    fn still_good(&mut self, fault: &Error) -> Option<Arc<AccessToken>> {
        let passing = matches!(fault, Error::Unavailable(_) | Error::Throttled { .. });
        let token = self.held.clone().filter(|token| passing && Instant::now() < token.expires_at)?;
        self.pause_until = Some(Instant::now() + RENEWAL_PAUSE);
        Some(token)
    }

    fn refused(&self, credentials: &ApiCredentials) -> Result<(), Error> {
        match &self.refusal {
            Some(refusal) if refusal.credentials == *credentials && Instant::now() < refusal.until => {
                Err(refusal.fault.clone())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn refuse(&mut self, credentials: ApiCredentials, fault: Error) {
        self.held = None;
        self.refusal = Some(Refusal { credentials, fault, until: Instant::now() + REFUSAL_LASTS });
    }

    fn holds(&self, token: &Arc<AccessToken>) -> bool {
        self.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, token))
    }
}

#[cfg(test)]
mod tests;
