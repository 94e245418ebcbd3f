//! `flows:` from what was written to conversations that can be held.
//!
//! Takes one flow of the file and gives the checked one, or the error that points to the step. It holds no conversation.
//! The surprising rule: a capture may be used only in a step behind the one that makes it, since the pattern of a step is
//! filled before its frame has come; `forbid` and `cleanup` may use any, and wait until it is there.

use std::time::Duration;

use super::super::error::ConfigError;
use super::super::locate::KeyPath;
use super::super::scalars::{Pairs, Several, Text, TextOrJson};
use super::super::secrets::Lookup;
use super::super::sources::Sources;
use super::super::values::{self, Flaw, quoted};
use super::model::{AnswerModel, ExpectModel, FlowModel, RepeatModel, StepModel};
use super::pattern::{Reading, called, word};
use super::settings::{Answer, Flow, Message, Step, Wanted};

/// The flow of this name, written at `path`; without `lookup` no secret is put in.
pub(crate) fn flow(
    sources: &Sources<'_>,
    lookup: Option<&Lookup>,
    path: &KeyPath,
    name: &str,
    model: &FlowModel,
) -> Result<Flow, ConfigError> {
    let all: Vec<String> = written(model).map(str::to_owned).collect();
    let reading = Reading { sources, known: &[], all: &all, lookup };
    let name = word(name).map_err(|flaw| reading.error(path, flaw))?;
    let welcome = reading.expects(&path.key("welcome"), model.welcome.as_ref())?;
    let mut known: Vec<String> = welcome.iter().flat_map(captures_of).collect();
    let Some(models) = model.steps.as_ref().filter(|steps| !steps.is_empty()) else {
        let spot = if model.steps.is_some() { path.key("steps") } else { path.clone() };
        let flaw =
            Flaw::new("this flow has no steps").help("steps: [ { send: TEXT }, { expect: { type: NAME } } ]");
        return Err(reading.error(&spot, flaw));
    };
    let mut steps = Vec::new();
    for (index, model) in models.iter().enumerate() {
        let reading = Reading { known: &known, ..reading };
        let step = reading.step(&path.key("steps").index(index), model)?;
        known.extend(step.wanted().iter().flat_map(captures_of));
        steps.push(step);
    }
    if !steps.iter().any(|step| step.wanted().iter().any(|wanted| wanted.at_least > 0)) {
        let flaw =
            Flaw::new("no step expects anything, so that this flow completes whatever the server does");
        return Err(reading.error(&path.key("steps"), flaw.help("add a step: expect: { type: NAME }")));
    }
    let later = Reading { known: &all, ..reading };
    let cleanup = model.cleanup.iter().flatten().enumerate();
    let cleanup = cleanup.map(|(index, model)| later.step(&path.key("cleanup").index(index), model));
    Ok(Flow {
        name,
        strict: model.strict.unwrap_or(false),
        welcome,
        steps,
        forbid: later.rules(&path.key("forbid"), model.forbid.as_ref())?,
        ignore: later.rules(&path.key("ignore"), model.ignore.as_ref())?,
        answers: later.answers(&path.key("answers"), model.answers.as_ref())?,
        cleanup: cleanup.collect::<Result<_, _>>()?,
    })
}

fn captures_of(wanted: &Wanted) -> impl Iterator<Item = String> {
    wanted.capture.iter().map(|(name, _)| name.clone())
}

/// The names of all captures of a flow, as written.
fn written(model: &FlowModel) -> impl Iterator<Item = &str> {
    let of_steps = model.steps.iter().flatten();
    let of_steps = of_steps
        .flat_map(|step| step.expect.iter().chain(step.any_order.iter().flat_map(|several| &several.values)));
    let welcome = model.welcome.iter().flat_map(|welcome| &welcome.values);
    let captures = welcome.chain(of_steps).filter_map(|expect| expect.capture.as_ref());
    captures.flat_map(|pairs| &pairs.0).map(|(name, _)| name.as_str())
}

impl Reading<'_> {
    fn expects(
        &self,
        path: &KeyPath,
        written: Option<&Several<ExpectModel>>,
    ) -> Result<Vec<Wanted>, ConfigError> {
        let Some(Several { values: models, listed }) = written else { return Ok(Vec::new()) };
        let at = |index| if *listed { path.index(index) } else { path.clone() };
        let wanted: Vec<Wanted> = models
            .iter()
            .enumerate()
            .map(|(index, model)| self.wanted(&at(index), model))
            .collect::<Result<_, _>>()?;
        for (index, one) in wanted.iter().enumerate() {
            let Some(other) = &one.follows else { continue };
            if other == &one.name || !wanted.iter().any(|wanted| &wanted.name == other) {
                let flaw = Flaw::new(format!("no other frame of this step is called {}", quoted(other)));
                let help = "follows: names one of the same `any-order:`, by its name or its type";
                return Err(self.error(&at(index).key("follows"), flaw.help(help)));
            }
        }
        Ok(wanted)
    }

    fn step(&self, path: &KeyPath, model: &StepModel) -> Result<Step, ConfigError> {
        let keys = [
            ("send", model.send.is_some()),
            ("expect", model.expect.is_some()),
            ("any-order", model.any_order.is_some()),
            ("wait", model.wait.is_some()),
        ];
        let mut given = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            let flaw = Flaw::new(format!("excludes `{first}`: a step does one thing"));
            return Err(self.error(&path.key(second), flaw.help("make two steps of it, each with its own -")));
        }
        match model {
            StepModel { send: Some(send), .. } => self.send(&path.key("send"), send).map(Step::Send),
            StepModel { expect: Some(expect), .. } => {
                let path = path.key("expect");
                if expect.follows.is_some() {
                    let flaw = Flaw::new("a step that stands alone follows the step before it anyway");
                    let help = "follows: is for the frames of one `any-order:`";
                    return Err(self.error(&path.key("follows"), flaw.help(help)));
                }
                self.wanted(&path, expect).map(|wanted| Step::Expect(Box::new(wanted)))
            }
            StepModel { any_order: Some(expects), .. } => {
                let path = path.key("any-order");
                let wanted = self.expects(&path, Some(expects))?;
                if wanted.is_empty() {
                    return Err(self.error(&path, Flaw::new("no frame is named")));
                }
                Ok(Step::AnyOrder(wanted))
            }
            StepModel { wait: Some(Text(text)), .. } => values::positive_duration(text)
                .map(Step::Wait)
                .map_err(|flaw| self.error(&path.key("wait"), flaw)),
            _ => {
                let flaw = Flaw::new("this step does nothing")
                    .help("it has one of send, expect, any-order and wait");
                Err(self.error(path, flaw))
            }
        }
    }

    fn send(&self, path: &KeyPath, written: &TextOrJson) -> Result<Message, ConfigError> {
        let text = written.text();
        if text.is_empty() {
            return Err(self.error(path, Flaw::new("the text to send is empty")));
        }
        let json = matches!(written, TextOrJson::Json(_)) || text.trim_start().starts_with(['{', '[']);
        Ok(Message { text: self.template(path, &text, written.json())?, json })
    }

    fn answers(
        &self,
        path: &KeyPath,
        written: Option<&Several<AnswerModel>>,
    ) -> Result<Vec<Answer>, ConfigError> {
        let Some(Several { values: models, listed }) = written else { return Ok(Vec::new()) };
        let at = |index| if *listed { path.index(index) } else { path.clone() };
        models.iter().enumerate().map(|(index, model)| self.answer(&at(index), model)).collect()
    }

    /// One answer. Its text may name what is taken out of the very frame that it answers.
    fn answer(&self, path: &KeyPath, model: &AnswerModel) -> Result<Answer, ConfigError> {
        let (Some(on), Some(send)) = (&model.on, &model.send) else {
            let flaw = Flaw::new(if model.on.is_none() {
                "which frames are answered is not said"
            } else {
                "what is said in answer is not there"
            });
            let help = "answers: [ { on: { json: { type: ping } }, send: { type: pong } } ]";
            return Err(self.error(path, flaw.help(help)));
        };
        let at = path.key("on");
        let capture = self.captures(&at.key("capture"), on.capture.as_ref())?;
        let names = capture.iter().map(|(name, _)| name.clone());
        let known: Vec<String> = self.known.iter().cloned().chain(names).collect();
        let own = Reading { known: &known, ..*self };
        let (on, message) = (self.pattern(&at, &on.conditions())?, own.send(&path.key("send"), send)?);
        Ok(Answer { on, capture, message })
    }

    fn wanted(&self, path: &KeyPath, model: &ExpectModel) -> Result<Wanted, ConfigError> {
        let pattern = self.pattern(path, &model.conditions())?;
        let name = model.name.as_ref().map(|Text(text)| values::text(text)).transpose();
        let name = name.map_err(|flaw| self.error(&path.key("name"), flaw))?;
        let (mut at_least, at_most) = self.bounds(&path.key("repeat"), model.repeat.as_ref())?;
        let optional = model.optional.unwrap_or(false);
        let follows = model.follows.as_ref().map(|Text(text)| text.clone());
        if optional || follows.is_some() {
            at_least = 0;
        }
        Ok(Wanted {
            name: name.unwrap_or_else(|| called(&pattern)),
            pattern,
            within: self.within(&path.key("within"), model.within.as_ref())?,
            at_least,
            at_most: if follows.is_some() { None } else { at_most },
            follows,
            capture: self.captures(&path.key("capture"), model.capture.as_ref())?,
        })
    }

    fn within(&self, path: &KeyPath, written: Option<&Text>) -> Result<Option<Duration>, ConfigError> {
        let parsed = written.map(|Text(text)| values::positive_duration(text)).transpose();
        parsed.map_err(|flaw| self.error(path, flaw))
    }

    fn bounds(
        &self,
        path: &KeyPath,
        repeat: Option<&RepeatModel>,
    ) -> Result<(u32, Option<u32>), ConfigError> {
        let Some(RepeatModel { any: true, at_least, at_most }) = repeat else { return Ok((1, Some(1))) };
        let count = |key: &str, written: &Option<Text>, least: u32| {
            let parsed = written.as_ref().map(|Text(text)| values::count(text, least)).transpose();
            parsed.map_err(|flaw| self.error(&path.key(key), flaw))
        };
        let least = count("at-least", at_least, 1)?.unwrap_or(1);
        let most = count("at-most", at_most, 1)?;
        if most.is_some_and(|most| most < least) {
            let flaw = Flaw::new(format!("is less than at-least ({least}): nothing comes so often"));
            return Err(self.error(&path.key("at-most"), flaw));
        }
        Ok((least, most))
    }

    fn captures(
        &self,
        path: &KeyPath,
        written: Option<&Pairs<Several<Text>>>,
    ) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
        let pairs = written.iter().flat_map(|pairs| &pairs.0);
        let capture = |(name, pointers): &(String, Several<Text>)| {
            let path = path.key(name);
            let name = word(name).map_err(|flaw| self.error(&path, flaw))?;
            Ok((name, self.pointers(&path, pointers)?))
        };
        pairs.map(capture).collect()
    }
}
