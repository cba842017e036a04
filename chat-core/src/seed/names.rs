//! Plausible names, always the same ones in the same order.

const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤";
const TWO_CHARACTER: [&str; 6] = ["欧阳", "诸葛", "上官", "司徒", "东方", "令狐"];
const GIVEN: &str = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红建国志文海燕晓玲鹏飞春梅婷浩宇轩子涵欣怡雨泽梓萱思远嘉豪佳琪俊辉雪松云峰晨光书瑶博雅安宁清和景行若水知秋乐山怀瑾望舒承志永康美玲秀珍德福庆生";

/// An endless row of names.
pub struct Names {
    surnames: Vec<char>,
    given: Vec<char>,
    state: u64,
}

impl Names {
    /// From the beginning.
    pub fn new() -> Self {
        Self { surnames: SURNAMES.chars().collect(), given: GIVEN.chars().collect(), state: 0x9E37_79B9_7F4A_7C15 }
    }

    /// The next one.
    pub fn next(&mut self) -> String {
        let mut name = String::new();
        if self.roll(200) == 0 {
            name.push_str(TWO_CHARACTER[self.roll(TWO_CHARACTER.len())]);
        } else {
            // Common surnames stand first, and are more common.
            let reach = [20, 50, self.surnames.len()][self.roll(3)];
            let at = self.roll(reach.min(self.surnames.len()));
            name.push(self.surnames[at]);
        }
        for _ in 0..1 + usize::from(self.roll(4) != 0) {
            let at = self.roll(self.given.len());
            name.push(self.given[at]);
        }
        name
    }

    /// A number below `below`, by a linear congruential generator (the constants are Knuth's MMIX).
    fn roll(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.state >> 33) as usize) % below
    }
}
