//! Texts of posts, and how a viewer tells whose they are.

use proto::v1::{Event, event};

use crate::checker::PostIndex;

/// The text of a post: its mark, and a sentence as members write them.
#[must_use]
pub fn text_of(run: &str, index: PostIndex) -> String {
    const SENTENCES: [&str; 4] = [
        "建议加快老旧小区加装电梯的审批，多部门联合踏勘，一次办结。",
        "同意前面委员的意见。养老服务要送到家门口，社区食堂的补贴能否延续到明年？",
        "请问主管部门，公交线路调整之后，山区学生上学的时间增加了多少？有没有统计。",
        "河道治理三年，水清了，岸绿了，但汛期排涝能力仍需评估，建议先做数字化底图，再谈工程量，避免重复投入。",
    ];
    format!("〔{run}:{index}〕{}", SENTENCES[index as usize % SENTENCES.len()])
}

/// Which post of this run an event is.
#[must_use]
pub fn post_of(event: &Event, run: &str) -> Option<PostIndex> {
    let Some(event::Kind::Comment(comment)) = &event.kind else { return None };
    let mark = comment.text.strip_prefix('〔')?.split('〕').next()?;
    let (of, index) = mark.split_once(':')?;
    if of == run { index.parse().ok() } else { None }
}
