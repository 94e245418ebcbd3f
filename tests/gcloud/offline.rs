//! The page "rehearse your pipeline offline", from its first command to its last, in one shell.

use std::fmt::Write as _;

use super::support::Story;

const PAGE: &str = include_str!("../../docs/offline.md");

/// A command of the page, and what the page says of its end.
#[derive(Debug, Default)]
struct Block {
    commands: String,
    code: i32,
    lines: Vec<String>,
}

/// The blocks that are run, each with the output that follows it.
fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let mut words = kind.split(' ');
        match (words.next(), words.next()) {
            (Some("sh"), ends) => {
                let code = ends.map_or(0, |ends| ends.strip_prefix("exit=").unwrap().parse().unwrap());
                blocks.push(Block { commands: text.join("\n"), code, lines: Vec::new() });
            }
            (Some("text"), None) => {
                blocks.last_mut().unwrap().lines.extend(text.into_iter().map(str::to_owned));
            }
            _ => {}
        }
    }
    blocks
}

/// True where a line of the output is the line of the page, but for what `…` stands for.
fn holds(output: &str, line: &str) -> bool {
    output.lines().any(|found| {
        let mut rest = found;
        line.split('…').map(str::trim).all(|piece| {
            let after = rest.find(piece).map(|at| &rest[at + piece.len()..]);
            rest = after.unwrap_or_default();
            after.is_some()
        })
    })
}

#[tokio::test]
async fn the_commands_of_the_page_run_and_print_what_it_says() {
    let Some(story) = Story::begin().await else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let blocks = blocks();
    assert!(blocks.len() >= 10, "the page has its commands: {}", blocks.len());
    let mut script = format!("export REVGATE_PORT={port}\n");
    for block in &blocks {
        writeln!(script, "{}\necho \"@@@ $?\"", block.commands).unwrap();
    }
    let file = story.file("page.sh", &script);
    // A group of its own, which ends with the shell should that not end by itself.
    let ran = story.plain_shell(&format!("timeout 330 bash '{file}' 2>&1")).await;
    let said = ran.out.replace("\u{1b}[1m", "").replace("\u{1b}[m", "");
    let mut outputs = said.split("@@@ ");
    let mut output = outputs.next().unwrap();
    for block in &blocks {
        let (code, after) = outputs.next().expect("every command is reached").split_once('\n').unwrap();
        assert_eq!(code, block.code.to_string(), "{}\n{output}", block.commands);
        for line in &block.lines {
            assert!(holds(output, line), "{}\ndoes not print: {line}\n{output}", block.commands);
        }
        output = after;
    }
}
