//! Who gets a lane, once, and what its body holds.

use actix::prelude::*;
use gururmm_shared::{Feature, ResetCode, StreamId};

use super::*;

struct Ear;

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Ear {
    type Result = ();

    fn handle(&mut self, _: ToConnection, _: &mut Self::Context) {}
}

fn lane(way: Way) -> Lane {
    Lane {
        agent_id: AgentId::generate(),
        session_id: SessionId::generate(),
        channel_id: ChannelId::of(Feature::Files, 1),
        way,
        stream: Arc::new(ByteStream::new(StreamId(1), 1024, 0, 0)),
        connection: Ear.start().recipient(),
        slot: Arc::default(),
    }
}

#[actix::test]
async fn a_token_is_good_once_for_its_agent_its_session_its_channel_and_its_way() {
    let (lanes, now) = (Lanes::default(), Instant::now());
    let wanted = lane(Way::Down);
    let ids = (wanted.agent_id, wanted.session_id);
    let channel = wanted.channel_id.clone();
    let offer = || lanes.offer(wanted.clone(), now).token;
    let other = ChannelId::of(Feature::Files, 2);
    for (ids, channel, way) in [
        ((AgentId::generate(), ids.1), &channel, Way::Down),
        ((ids.0, SessionId::generate()), &channel, Way::Down),
        (ids, &other, Way::Down),
        (ids, &channel, Way::Up),
    ] {
        let token = offer();
        assert!(lanes.take(&token, ids, channel, way, now).is_none());
        let again = lanes.take(&token, ids, &wanted.channel_id, Way::Down, now);
        assert!(again.is_none(), "it is gone");
    }
    let token = offer();
    assert!(lanes.take(&token, ids, &channel, Way::Down, now).is_some());
    assert!(lanes.take(&token, ids, &channel, Way::Down, now).is_none());
    assert!(lanes.take("", ids, &channel, Way::Down, now).is_none());
}

#[actix::test]
async fn a_token_is_worthless_when_it_is_late_or_its_channel_has_ended_or_does_without() {
    let (lanes, now) = (Lanes::default(), Instant::now());
    let take = |lane: &Lane, token: &str, at: Instant| {
        let ids = (lane.agent_id, lane.session_id);
        lanes.take(token, ids, &lane.channel_id, lane.way, at)
    };
    let late = lane(Way::Up);
    let offer = lanes.offer(late.clone(), now);
    let life = Duration::from_secs(offer.seconds.into());
    assert!(take(&late, &offer.token, now + life).is_none());
    let ended = lane(Way::Up);
    let offer = lanes.offer(ended.clone(), now);
    let _ = ended.stream.reset(ResetCode::Gone, "the session has ended");
    assert!(take(&ended, &offer.token, now).is_none());
    let without = lane(Way::Up);
    let offer = lanes.offer(without.clone(), now);
    without.slot.shut();
    assert!(take(&without, &offer.token, now).is_none());
}

#[actix::test]
async fn offers_that_nobody_takes_do_not_pile_up() {
    let (lanes, now) = (Lanes::default(), Instant::now());
    let one = lane(Way::Up);
    for _ in 0..MOST + 10 {
        lanes.offer(one.clone(), now);
    }
    assert_eq!(lanes.lock().len(), MOST);
}

#[actix::test]
async fn a_body_ends_with_its_mark_only_where_all_was_sent() {
    for finishes in [true, false] {
        let slot = LaneSlot::default();
        assert!(slot.claim().is_none(), "nobody has come");
        let mut body = slot.join();
        let sender = slot.claim().unwrap();
        assert!(sender.send(b"abc").await);
        if finishes {
            sender.finish();
        } else {
            drop(sender);
        }
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await {
            all.extend_from_slice(&chunk);
        }
        let mut wanted = vec![0, 0, 0, 3, b'a', b'b', b'c'];
        if finishes {
            wanted.extend(lane::END);
        }
        assert_eq!(all, wanted);
    }
}
