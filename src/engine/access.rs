//! How a private service is entered.

use super::{Control, EngineError, Run};
use crate::cloudrun::{self, Invokers};
use crate::config::{ApiAccess, IdTokenMode};
use crate::trust::Secret;

impl Run<'_> {
    /// The ID token that a private service asks for.
    pub(super) async fn id_token(&self, control: &Control) -> Result<Option<Secret>, EngineError> {
        match &self.settings.id_token {
            IdTokenMode::Never => return Ok(None),
            IdTokenMode::Given(token) => return Ok(Some(token.clone())),
            IdTokenMode::Auto => {}
        }
        let google = matches!(self.settings.api, ApiAccess::Google);
        if self.settings.dry_run || !google || control.service.invoker_iam_disabled {
            return Ok(None);
        }
        let Some(audience) = &control.service.uri else { return Ok(None) };
        let asking = async {
            match control.client.invoker_policy(&control.name).await? {
                Invokers::Everybody => Ok(None),
                Invokers::Some => Ok(Some(
                    cloudrun::id_token(audience, &self.around.redactor).await.map_err(EngineError::from),
                )),
                // Who may call it is not ours to read: a token does no harm where none is needed.
                Invokers::Unknown { reason } => {
                    let token = cloudrun::id_token(audience, &self.around.redactor).await;
                    if let Err(error) = &token {
                        self.around.note(format!("going without an ID token: {error} ({reason})"));
                    }
                    Ok(token.ok().map(Ok))
                }
            }
        };
        self.unless_interrupted(asking).await?.map_err(EngineError::Api)?.transpose()
    }
}
