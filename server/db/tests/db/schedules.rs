//! Runs of schedules: one row a time, all of a run or nothing of it.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use gururmm_shared::{CommandId, JobId, ScheduleRunId};
use serde_json::json;

use super::{a_technician, an_agent, new_audit};
use gururmm_db::commands::NewCommand;
use gururmm_db::jobs::Job;
use gururmm_db::schedules::{self, Decision, NewRun, Noted, Planned, Schedule};
use gururmm_db::testing::{number, on_both};
use gururmm_db::types::now;
use gururmm_db::{Db, DbError};

async fn a_schedule(db: &Db) -> Schedule {
    let planned = Planned {
        name: "S".to_owned(),
        owner_id: a_technician(db).await.id,
        cron: "* * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        enabled: true,
        script_id: None,
        arguments: json!({}),
        command_type: Some(json!("shell")),
        command: Some("true".to_owned()),
        timeout_seconds: None,
        elevated: false,
        filter: json!({}),
        when_offline: "wait",
        expires_in_seconds: None,
    };
    let inserted = schedules::insert(db, planned, 10).await.unwrap();
    inserted.unwrap()
}

fn decision(schedule: &Schedule, due_at: DateTime<Utc>, after: i64) -> Decision {
    let run = NewRun {
        id: ScheduleRunId::generate(),
        schedule_id: schedule.id,
        due_at,
        started_at: None,
        requested_by: None,
        outcome: "empty",
        detail: None,
        targets: 0,
        offline: 0,
        busy: 0,
    };
    Decision {
        version: Some(schedule.updated_at),
        decided_until: due_at,
        after,
        missed: None,
        run: Some(run),
        job: None,
        refusal: None,
        keep: 3,
    }
}

fn a_minute(index: i64) -> DateTime<Utc> {
    now().trunc_subsecs(0) + Duration::minutes(index)
}

#[test]
fn a_time_has_one_run_and_what_others_wrote_meanwhile_is_seen() {
    on_both(async |db| {
        let schedule = a_schedule(&db).await;
        let due_at = a_minute(1);
        let first = schedules::note(&db, schedule.id, decision(&schedule, due_at, 0)).await;
        let Ok(Noted::Written(Some(first))) = first else {
            panic!("{first:?}")
        };
        let blind = decision(&schedule, a_minute(2), 0);
        let noted = schedules::note(&db, schedule.id, blind).await;
        assert_eq!(noted, Ok(Noted::Overtaken));
        let again = decision(&schedule, due_at, 1);
        let noted = schedules::note(&db, schedule.id, again).await;
        assert_eq!(noted, Ok(Noted::Known));
        let mut stale = decision(&schedule, a_minute(2), 1);
        stale.version = Some(schedule.updated_at - Duration::seconds(1));
        let noted = schedules::note(&db, schedule.id, stale).await;
        assert_eq!(noted, Ok(Noted::Changed));
        let rows = schedules::runs_of(&db, schedule.id, None, 10)
            .await
            .unwrap();
        assert_eq!(rows, [*first]);
        let (read, _) = schedules::by_id(&db, schedule.id).await.unwrap().unwrap();
        assert_eq!(read.decided_until, due_at);
    });
}

#[test]
fn a_run_without_all_of_its_commands_is_none() {
    on_both(async |db| {
        let schedule = a_schedule(&db).await;
        let agent = an_agent(&db).await;
        let at = now();
        let job = Job {
            id: JobId::generate(),
            name: "S".to_owned(),
            created_by: schedule.owner_id,
            command_type: "shell".to_owned(),
            command: "true".to_owned(),
            parameters: None,
            timeout_seconds: 1,
            elevated: false,
            filter: json!({}),
            created_at: at,
            cancelled_at: None,
            script: None,
            arguments: None,
        };
        let job_id = Some(job.id);
        let command = |agent_id| NewCommand {
            id: CommandId::generate(),
            agent_id,
            created_by: schedule.owner_id.unwrap(),
            key_id: None,
            command_type: "shell".to_owned(),
            command: "true".to_owned(),
            parameters: None,
            timeout_seconds: 1,
            elevated: false,
            created_at: at,
            expires_at: at,
            job_id,
            script: None,
            arguments: Some(json!({"a": "x"})),
        };
        let gone = gururmm_shared::AgentId::generate();
        let rows = [agent.id, gone].map(|id| (command(id), new_audit("command", None)));
        let mut whole = decision(&schedule, a_minute(1), 0);
        whole.job = Some((job.clone(), rows.to_vec()));
        let noted = schedules::note(&db, schedule.id, whole).await;
        assert_eq!(noted, Err(DbError::ForeignKey));
        for table in ["schedule_runs", "jobs", "commands", "tunnel_audit"] {
            assert_eq!(
                number(&db, &format!("SELECT count(*) FROM {table}")).await,
                0,
                "{table}"
            );
        }
        let (read, _) = schedules::by_id(&db, schedule.id).await.unwrap().unwrap();
        assert_eq!(
            read.decided_until, schedule.decided_until,
            "it is still due"
        );
        let mut whole = decision(&schedule, a_minute(1), 0);
        whole.job = Some((job, vec![(command(agent.id), new_audit("command", None))]));
        schedules::note(&db, schedule.id, whole).await.unwrap();
        let (unfinished, sent) = schedules::unfinished(&db, schedule.id).await.unwrap();
        assert_eq!((unfinished.contains(&agent.id), sent.len()), (true, 0));
    });
}

#[test]
fn the_newest_runs_are_kept() {
    on_both(async |db| {
        let schedule = a_schedule(&db).await;
        for index in 1..=6 {
            let (written, _) = schedules::last_run(&db, schedule.id).await.unwrap();
            let mut next = decision(&schedule, a_minute(index), written);
            // Ids come from requests and say nothing of the order.
            next.run.as_mut().unwrap().id =
                ScheduleRunId(uuid::Uuid::from_u128(99 - index as u128));
            schedules::note(&db, schedule.id, next).await.unwrap();
        }
        let rows = schedules::runs_of(&db, schedule.id, None, 10)
            .await
            .unwrap();
        let due: Vec<_> = rows
            .iter()
            .map(|run| (run.due_at - now()).num_minutes())
            .collect();
        assert_eq!(due, [5, 4, 3], "the sixth is less than six minutes away");
    });
}

#[test]
fn a_run_whose_id_is_older_than_others_is_the_last_one_all_the_same() {
    on_both(async |db| {
        let schedule = a_schedule(&db).await;
        let early = ScheduleRunId::generate();
        schedules::note(&db, schedule.id, decision(&schedule, a_minute(1), 0))
            .await
            .unwrap();
        let mut asked = decision(&schedule, a_minute(2), 1);
        asked.run.as_mut().unwrap().id = early;
        schedules::note(&db, schedule.id, asked).await.unwrap();
        let (written, last) = schedules::last_run(&db, schedule.id).await.unwrap();
        assert_eq!((written, last.unwrap().id), (2, early));
        // Who has not seen it is overtaken by it.
        let blind = decision(&schedule, a_minute(3), 1);
        let noted = schedules::note(&db, schedule.id, blind).await;
        assert_eq!(noted, Ok(Noted::Overtaken));
        let rows = schedules::runs_of(&db, schedule.id, None, 10)
            .await
            .unwrap();
        assert_eq!(rows[0].id, early);
        let rest = schedules::runs_of(&db, schedule.id, Some(early), 10)
            .await
            .unwrap();
        assert_eq!(rest, rows[1..]);
    });
}
