//! Provoking the candidate: sockets opened, released together, spoken with, held and closed.
//!
//! Takes an address, a plan and the settings; gives rounds of observations. It never says whether what it saw is good
//! or bad. The surprising rule: the sockets that were served stay open until the last one of their round is decided,
//! since a client that closes early lets the server tidy up before the loser of the race arrives.

mod baseline;
mod ballast;
mod calibration;
mod campaign;
mod cold;
mod deadline;
mod descriptors;
mod dialogue;
mod envelope;
mod expectation;
mod flow;
mod frame;
mod handshake;
mod hold;
mod http;
mod lanes;
mod learned;
mod line;
mod matcher;
mod misuse;
mod observation;
mod pace;
mod pairs;
mod plan;
mod platform;
mod prober;
mod pulse;
mod release;
mod renewal;
mod response;
mod round;
mod schedule;
mod series;
mod served;
mod shape;
mod socket;
mod spec;
mod steering;
mod stop;
mod talk;
mod tickets;
mod token;
mod transport;
mod trial;
mod whose;

pub use baseline::{Baseline, BaselineEnd, BaselinePlan, Pair};
pub use calibration::{Calibration, calibrate};
pub use campaign::{Campaign, Campaigned};
pub(crate) use deadline::Deadline;
pub use descriptors::{TooFewDescriptors, check_descriptors, raise_descriptor_limit};
pub use expectation::{Declared, Standing, standing};
pub(crate) use expectation::{has_greeting, is_answered};
pub use flow::{
    AgentAsked, AgentSeen, Came, Ending, FlowCompany, FlowRun, FlowsAsked, IsolationSeen, Leak, Near,
    run_flows,
};
pub use frame::{Frame, FrameKind};
pub use handshake::Identity;
pub use hold::{HeldSocket, HoldSeen, hold_sockets};
pub use http::{Answer, Answered, ApiSeen, EndpointSeen, Sentinel, ask_endpoints, send_sentinel};
pub use learned::{Learned, learn};
pub use misuse::{
    AuthSeen, BadFrameSeen, BadTokenSeen, Bystander, FramesSeen, send_bad_frames, send_bad_tokens,
};
pub use observation::{
    Company, End, EndKind, Freeze, Observation, Opening, Phase, Round, Stage, TcpFailure, Timeline,
};
pub use pairs::Pairs;
pub(crate) use pairs::SINGLES;
pub use plan::{Capacity, HELD_SOCKETS, Place, Plan, Stratum};
pub use platform::PlatformPage;
pub use prober::Prober;
pub use release::{Means, Offer, Released, Releaser};
pub use series::Series;
pub(crate) use spec::shuffled;
pub use spec::{RoundSpec, SocketSpec};
pub use steering::Steering;
pub use stop::{CampaignError, StopReason};
pub use token::{Purse, TokenError};

pub(crate) use renewal::Tokens;
pub use transport::{Address, AddressError, Wire};
pub(crate) use trial::{Trials, run_trial};
pub use whose::Whose;
