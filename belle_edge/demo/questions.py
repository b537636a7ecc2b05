"""What `belle-edge demo` asks the bundled checkpoint."""

# None of them was trained on. With the answers that the shipped checkpoint gives; one per kind of task.
DEMO_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("你是谁？", "我是一个很小的演示模型，只会回答几类简单的问题。"),
    ("54加42等于多少？", "54+42=96"),
    ("请告诉我日本的首都。", "日本的首都是东京。"),
    ("今天是星期五，9天后是星期几？", "星期五的9天后是星期日。"),
    ("把“我有一艘船。”翻译成英文。", "I have a boat."),
    ("翻译成西班牙语：雨", "lluvia"),
    ("请告诉我“冷”的反义词。", "“冷”的反义词是“热”。"),
    ("“今天的课让我很失望。”这句话是正面还是负面？", "负面"),
    ("21，23，25，27，下一个数是多少？", "下一个数是29。"),
    ("给“钢琴”分类。", "钢琴属于乐器。"),
    ("9千米等于多少米？", "9千米等于9000米。"),
    ("讲一个关于人工智能的故事。", "对不起，我只是一个很小的演示模型，不会这个。"),
)
