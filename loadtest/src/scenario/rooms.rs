//! `rooms` and `direct`: many conversations at once, those who watch being those who post.

use super::{
    floor::FloorRun,
    judge,
    room::{LEAD, Room, post_part},
    setup,
};
use crate::{
    args::{CrowdArgs, RoomsArgs},
    client::{self, Person, Session},
    fleet::deal,
    generator::orders::Seat,
    report::{Report, Summary},
};

/// `rooms`: groups of `--people` people.
///
/// # Errors
/// When the service cannot be reached, a group cannot be made, or sockets do not come in.
pub async fn groups(args: RoomsArgs) -> anyhow::Result<()> {
    let (sessions, people) = find_people(&args.crowd).await?;
    let rooms = setup::groups(&args.crowd.target.target[0], &sessions, &people, args.people).await?;
    run("rooms", &args.crowd, &sessions, rooms, args.people).await
}

/// `direct`: pairs.
///
/// # Errors
/// When the service cannot be reached, a conversation cannot be opened, or sockets do not come in.
pub async fn direct(args: CrowdArgs) -> anyhow::Result<()> {
    let (sessions, people) = find_people(&args).await?;
    let rooms = setup::pairs(&args.target.target[0], &sessions, &people).await?;
    run("direct", &args, &sessions, rooms, 2).await
}

async fn find_people(args: &CrowdArgs) -> anyhow::Result<(Vec<Session>, Vec<Person>)> {
    let sessions = client::sessions(&args.target, args.viewers).await?;
    let people = setup::people(&args.target.target, &sessions).await?;
    Ok((sessions, people))
}

/// Seats of the rooms, `size` to each; post n is in room n modulo their number, by one of its people in turn.
fn seats(sessions: &[Session], rooms: usize, size: usize, gateways: usize) -> Vec<Seat> {
    let seat = |(number, session): (usize, &Session)| {
        let (room, place) = ((number / size) as u32, number % size);
        Seat {
            token: session.token.clone(),
            // Neighbours of a room are on different gateways, where there are several.
            target: (number % gateways.max(1)) as u16,
            room: Some(room),
            posts: Some(((place * rooms) as u32 + room, room)),
            group: 0,
        }
    };
    sessions.iter().take(rooms * size).enumerate().map(seat).collect()
}

async fn run(scenario: &'static str, args: &CrowdArgs, sessions: &[Session], rooms: Vec<String>, size: usize) -> anyhow::Result<()> {
    let mut report = Report::new(scenario, rooms.len() * size);
    report.also("rooms", rooms.len());
    report.also("people_per_room", size);
    report.also("gateways", args.target.target.len());
    let seats = seats(sessions, rooms.len(), size, args.target.target.len());
    let plan = setup::plan(&args.target.target, args.target.ca.as_deref(), rooms, args.connects_per_s, args.deflate)?;
    let floors = FloorRun::start(args, size, 1).await?;
    let mut room = Room::fill_with(args, plan, deal(seats, args.generators)).await?;
    report.posts_per_s = Some(args.posts_per_s);
    let count = (args.posts_per_s * args.seconds as f64) as u32;
    // Half a second of the same, so that every room is open and every path warm.
    let warm = (args.posts_per_s / 2.0).ceil() as u32;
    post_part(args, &mut room.fleet, count, warm).await?;
    room.fleet.begin().await?;
    let measured = post_part(args, &mut room.fleet, 0, count).await?;
    let found = room.fleet.finish().await?;
    judge::write_to_report(&mut report, &found, measured.seconds - LEAD.as_secs_f64());
    let delivered = report.findings.map_or(0, |findings| findings.delivered);
    measured.write_to_report(&mut report, delivered, u64::from(count));
    report.also("connect_ms", Summary::from_ms(&found.connect_ms));
    if let Some(floors) = floors {
        floors.finish(&mut report).await?;
    }
    report.emit(&args.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_go_round_the_rooms_before_anybody_posts_again() {
        let sessions: Vec<_> = (0..6).map(|number| Session { token: number.to_string() }).collect();
        let seats = seats(&sessions, 3, 2, 2);
        let mut posters: Vec<_> = seats.iter().filter_map(|seat| seat.posts).collect();
        posters.sort_unstable();
        assert_eq!(posters, [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2)]);
        assert!(seats.iter().all(|seat| seat.posts.map(|(_, room)| room) == seat.room), "everybody posts where they watch");
    }
}
