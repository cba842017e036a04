//! Texts of posts, and how a viewer tells whose they are and when they were due.

use proto::v1::{Comment, Edit, Event, Recall, event};

use crate::checker::PostIndex;

/// What stands at the front of every text of a run: 〔run:number:due〕.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The post's number in the run.
    pub index: PostIndex,
    /// When it was due, microseconds since 1970. Latency is counted from here.
    pub due_us: i64,
}

/// What texts are made of: enough different words that they compress about as sentences of people do.
const WORDS: [&str; 120] = [
    "建议", "加快", "老旧", "小区", "加装", "电梯", "审批", "部门", "联合", "踏勘", "一次", "办结", "同意", "前面", "委员", "意见", "养老",
    "服务", "送到", "门口", "社区", "食堂", "补贴", "能否", "延续", "明年", "请问", "主管", "公交", "线路", "调整", "之后", "山区", "学生",
    "上学", "时间", "增加", "多少", "有没", "统计", "河道", "治理", "三年", "水清", "岸绿", "汛期", "排涝", "能力", "仍需", "评估", "数字",
    "底图", "工程", "避免", "重复", "投入", "乡村", "振兴", "产业", "融合", "文化", "旅游", "茶园", "民宿", "人才", "返乡", "创业", "贷款",
    "担保", "基层", "医疗", "医生", "轮岗", "药品", "目录", "慢病", "管理", "家庭", "签约", "覆盖", "教育", "均衡", "学区", "划分", "公开",
    "透明", "停车", "泊位", "夜间", "共享", "垃圾", "分类", "投放", "站点", "绿化", "海绵", "城市", "更新", "历史", "街区", "保护", "修缮",
    "资金", "来源", "居民", "参与", "协商", "民主", "监督", "落实", "督办", "反馈", "期限", "责任", "清单", "年度", "考核", "指标", "公示",
    "结果",
];
const PAUSES: [&str; 4] = ["，", "。", "、", "；"];

/// The mark of a post, as text.
#[must_use]
pub fn mark_text(run: &str, mark: Mark) -> String {
    format!("〔{run}:{}:{}〕", mark.index, mark.due_us)
}

/// The text of a post, about `bytes` bytes of UTF-8. Equal for equal arguments: a post sent again is the same post.
#[must_use]
pub fn text_of(run: &str, mark: Mark, bytes: usize) -> String {
    let mut text = mark_text(run, mark);
    text.reserve(bytes.saturating_sub(text.len()) + 16);
    let mut state = u64::from(mark.index).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B;
    let mut words = 0;
    while text.len() < bytes {
        // xorshift: the same words for the same post.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
        words += 1;
        if words % 5 == 0 {
            text.push_str(PAUSES[(state >> 20) as usize % PAUSES.len()]);
        }
    }
    text
}

/// Bytes of text that make an event of about `event` bytes: ids, numbers and times are the rest.
#[must_use]
pub fn text_bytes(event: usize) -> usize {
    event.saturating_sub(28)
}

/// Which post of this run an event is: a comment or edit by its text, a recall by its reason. A comment that shows an edit's
/// text already is not told: its mark is the edit's.
#[must_use]
pub fn post_of(event: &Event, run: &str) -> Option<Mark> {
    let text = match event.kind.as_ref()? {
        event::Kind::Comment(Comment { text, version: 0, .. }) | event::Kind::Edit(Edit { text, .. }) => text,
        event::Kind::Recall(Recall { reason, .. }) => reason,
        _ => return None,
    };
    parse(text, run)
}

fn parse(text: &str, run: &str) -> Option<Mark> {
    let mark = text.strip_prefix('〔')?.split('〕').next()?;
    let mut parts = mark.split(':');
    let (mark, index, due_us) = (parts.next()?, parts.next()?, parts.next()?);
    if mark == run { Some(Mark { index: index.parse().ok()?, due_us: due_us.parse().ok()? }) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_whose_it_is_and_is_as_long_as_asked() {
        let mark = Mark { index: 17, due_us: 1_764_000_000_000_000 };
        let text = text_of("run", mark, 270);
        assert!((270..285).contains(&text.len()), "{}", text.len());
        assert_eq!(text, text_of("run", mark, 270), "sent again, it is the same");
        let event = Event { kind: Some(event::Kind::Comment(Comment { text, ..Comment::default() })), ..Event::default() };
        assert_eq!(post_of(&event, "run"), Some(mark));
        assert_eq!(post_of(&event, "other"), None);
    }

    #[test]
    fn recalls_and_edits_are_posts_too() {
        let mark = Mark { index: 3, due_us: 9 };
        for kind in [
            event::Kind::Edit(Edit { text: text_of("run", mark, 100), ..Edit::default() }),
            event::Kind::Recall(Recall { reason: mark_text("run", mark), target: 1 }),
        ] {
            assert_eq!(post_of(&Event { kind: Some(kind), ..Event::default() }, "run"), Some(mark));
        }
        let edited = event::Kind::Comment(Comment { text: text_of("run", mark, 100), version: 1, ..Comment::default() });
        assert_eq!(post_of(&Event { kind: Some(edited), ..Event::default() }, "run"), None);
    }
}
