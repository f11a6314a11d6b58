//! What the spool promises: every line once and in order, whatever is killed, full or away.

use super::*;

impl<T: Clone> Bunch for Vec<T> {
    type Record = T;

    fn add(&mut self, record: &T) {
        self.push(record.clone());
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// Nothing of it is at hand.
fn of_lines(folder: &Path) -> Spool<Vec<()>> {
    Spool::with_writers(folder, 1, 0)
}

fn all(spool: &Spool<Vec<()>>, marks: &mut Marks) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(portion) = spool.read(marks, 10).unwrap().portion {
        *marks = portion.marks.clone();
        lines.extend(portion.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()));
    }
    lines
}

#[test]
fn what_is_written_is_read_once_and_in_order() {
    let home = tempfile::tempdir().unwrap();
    let spool = of_lines(home.path());
    (0..25).for_each(|n| assert!(spool.append(format!("{n}\n").as_bytes(), &()).is_some()));

    let mut marks = Marks::default();
    assert_eq!(all(&spool, &mut marks), (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(all(&spool, &mut marks).is_empty());
    spool.append(b"more\n", &());
    assert_eq!(all(&spool, &mut marks), ["more"]);
}

#[test]
fn what_a_killed_process_left_is_read_by_the_next_without_its_torn_line() {
    let home = tempfile::tempdir().unwrap();
    {
        let spool = of_lines(home.path());
        spool.append(b"whole\n", &());
        spool.append(b"to", &());
    }

    let spool = of_lines(home.path());
    spool.append(b"new\n", &());

    let mut marks = Marks::default();
    assert_eq!(all(&spool, &mut marks), ["whole", "new"]);
    spool.begin_anew();
    let files = spool.files().unwrap();
    assert_eq!(spool.read(&marks, 10).unwrap(), Reading { portion: None, removed: files });
    assert!(spool.files().unwrap().is_empty(), "read files are removed");
}

#[test]
fn an_unacknowledged_portion_comes_again() {
    let home = tempfile::tempdir().unwrap();
    let spool = of_lines(home.path());
    spool.append(b"a\n", &());

    let first = spool.read(&Marks::default(), 10).unwrap();
    assert_eq!(first, spool.read(&Marks::default(), 10).unwrap());
}

#[test]
fn files_are_bounded_and_go_when_they_are_read() {
    let home = tempfile::tempdir().unwrap();
    let spool = of_lines(home.path());
    let line = vec![b'x'; 64 << 10];
    for _ in 0..100 {
        spool.append(&[&line[..], b"\n"].concat(), &());
    }
    assert!(spool.files().unwrap().len() >= 2);

    let mut marks = Marks::default();
    assert_eq!(all(&spool, &mut marks).len(), 100);
    assert_eq!(spool.files().unwrap().len(), 1);
    assert_eq!(spool.waiting(&marks), 0);
}

#[test]
fn what_is_at_hand_is_given_once_in_order_and_never_across_a_gap() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::<Vec<usize>>::with_writers(home.path(), 1, AT_HAND);
    let append = |n: usize| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some());
    let at_hand = |marks: &Marks| spool.take_at_hand(marks, 1).map(|(bunches, after)| (bunches.concat(), after));
    let read = |marks: &Marks| {
        let portion = spool.read(marks, 100).unwrap().portion?;
        let lines = portion.lines().map(|line| std::str::from_utf8(line).unwrap().parse().unwrap());
        Some((lines.collect::<Vec<usize>>(), portion.marks.clone()))
    };
    (0..AT_HAND + 50).for_each(append);
    let (mut given, mut marks) = at_hand(&Marks::default()).unwrap();
    assert_eq!(given.len(), BUNCH);
    while let Some((some, after)) = at_hand(&marks) {
        given.extend(some);
        marks = after;
    }
    assert_eq!(given.len(), AT_HAND);
    // The fifty are not at hand; these are again, and are not read.
    (AT_HAND + 50..AT_HAND + 70).for_each(append);
    assert!(at_hand(&marks).is_none());
    let (some, after) = read(&marks).unwrap();
    assert_eq!(some, (AT_HAND..AT_HAND + 50).collect::<Vec<_>>());
    assert_eq!(read(&after), None);
    given.extend(some);
    let (some, after) = at_hand(&after).unwrap();
    given.extend(some);

    assert_eq!(given, (0..AT_HAND + 70).collect::<Vec<_>>());
    assert!(at_hand(&after).is_none());
    // What goes on in a new file is at hand too.
    spool.begin_anew();
    append(0);
    assert_eq!(at_hand(&after).unwrap().0, [0]);
}

#[test]
fn what_was_taken_and_not_written_is_read_and_then_what_is_at_hand_after_it() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::<Vec<usize>>::with_writers(home.path(), 1, AT_HAND);
    let append = |n: usize| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some());
    (0..BUNCH + 10).for_each(append);
    let start = Marks::default();
    spool.take_at_hand(&start, 1).unwrap();

    assert!(spool.take_at_hand(&start, 1).is_none());
    let first = spool.read(&start, BUNCH - 1).unwrap().portion.unwrap();
    let last = spool.read(&first.marks, BUNCH).unwrap().portion.unwrap();
    assert_eq!((first.lines().count(), last.lines().count()), (BUNCH - 1, 1));
    assert_eq!(spool.read(&last.marks, BUNCH).unwrap().portion, None);
    let (bunches, after) = spool.take_at_hand(&last.marks, BUNCH).unwrap();

    assert_eq!(bunches.concat(), (BUNCH..BUNCH + 10).collect::<Vec<_>>());
    assert_eq!(spool.waiting(&after), 0);
}

#[test]
fn what_is_read_is_removed_also_while_there_is_always_something_at_hand() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::<Vec<()>>::with_writers(home.path(), 1, AT_HAND);
    let line = [vec![b'x'; 64 << 10], b"\n".to_vec()].concat();
    let mut marks = Marks::default();
    for _ in 0..200 {
        assert!(spool.append(&line, &()).is_some());
        marks = spool.take_at_hand(&marks, 1).unwrap().1;
    }
    spool.append(&line, &());
    assert!(spool.files().unwrap().len() >= 3);

    let removed = spool.remove_read(&marks).unwrap();

    assert!(removed.len() >= 2);
    assert_eq!(spool.files().unwrap().len(), 1);
    assert_eq!(spool.waiting(&marks), line.len() as u64);
}

#[test]
fn lanes_write_files_of_their_own_and_all_are_read_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::<Vec<usize>>::with_writers(home.path(), 3, AT_HAND);
    let append =
        |from: usize| (from..from + 30).for_each(|n| assert!(spool.append(format!("{n}\n").as_bytes(), &n).is_some()));
    thread::scope(|scope| {
        for number in 1..3 {
            scope.spawn(move || {
                lane::enter(number);
                append(number * 100);
            });
        }
    });
    append(0);
    assert_eq!(spool.files().unwrap().len(), 3);

    let (bunches, marks) = spool.take_at_hand(&Marks::default(), 1_000).unwrap();

    assert_eq!(bunches.concat(), (0..3).flat_map(|lane| lane * 100..lane * 100 + 30).collect::<Vec<_>>());
    assert_eq!(spool.read(&marks, 10).unwrap(), Reading { portion: None, removed: Vec::new() });
    assert_eq!(spool.waiting(&marks), 0);
    spool.begin_anew();
    assert_eq!(spool.read(&marks, 10).unwrap().removed.len(), 3);
    assert!(spool.files().unwrap().is_empty());
}

#[test]
fn what_the_disk_does_not_take_waits_until_it_does() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let spool = of_lines(&folder);
    fs::remove_dir(&folder).unwrap();

    assert_eq!(spool.append(b"first\n", &()), None);
    assert_eq!(spool.retry(), b"first\n".len());
    fs::create_dir(&folder).unwrap();
    assert_eq!(spool.retry(), 0);

    assert_eq!(all(&spool, &mut Marks::default()), ["first"]);
}
