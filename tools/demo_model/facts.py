"""Fact tables behind the demonstration tasks, written for this project."""

# country, capital
CAPITALS: tuple[tuple[str, str], ...] = (
    ("中国", "北京"), ("法国", "巴黎"), ("英国", "伦敦"), ("德国", "柏林"), ("意大利", "罗马"),
    ("西班牙", "马德里"), ("葡萄牙", "里斯本"), ("日本", "东京"), ("韩国", "首尔"), ("俄罗斯", "莫斯科"),
    ("美国", "华盛顿"), ("加拿大", "渥太华"), ("墨西哥", "墨西哥城"), ("巴西", "巴西利亚"),
    ("阿根廷", "布宜诺斯艾利斯"), ("智利", "圣地亚哥"), ("秘鲁", "利马"), ("哥伦比亚", "波哥大"),
    ("古巴", "哈瓦那"), ("埃及", "开罗"), ("肯尼亚", "内罗毕"), ("摩洛哥", "拉巴特"), ("泰国", "曼谷"),
    ("越南", "河内"), ("老挝", "万象"), ("缅甸", "内比都"), ("印度", "新德里"), ("巴基斯坦", "伊斯兰堡"),
    ("尼泊尔", "加德满都"), ("马来西亚", "吉隆坡"), ("菲律宾", "马尼拉"), ("伊朗", "德黑兰"),
    ("伊拉克", "巴格达"), ("土耳其", "安卡拉"), ("希腊", "雅典"), ("波兰", "华沙"), ("奥地利", "维也纳"),
    ("匈牙利", "布达佩斯"), ("捷克", "布拉格"), ("瑞典", "斯德哥尔摩"), ("挪威", "奥斯陆"),
    ("芬兰", "赫尔辛基"), ("丹麦", "哥本哈根"), ("荷兰", "阿姆斯特丹"), ("比利时", "布鲁塞尔"),
    ("爱尔兰", "都柏林"), ("冰岛", "雷克雅未克"), ("瑞士", "伯尔尼"), ("乌克兰", "基辅"),
    ("罗马尼亚", "布加勒斯特"), ("澳大利亚", "堪培拉"), ("新西兰", "惠灵顿"), ("蒙古", "乌兰巴托"),
)  # fmt: skip

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("大", "小"), ("高", "低"), ("长", "短"), ("多", "少"), ("好", "坏"), ("快", "慢"), ("新", "旧"),
    ("冷", "热"), ("黑", "白"), ("上", "下"), ("左", "右"), ("前", "后"), ("里", "外"), ("开", "关"),
    ("进", "出"), ("来", "去"), ("买", "卖"), ("远", "近"), ("轻", "重"), ("胖", "瘦"), ("强", "弱"),
    ("真", "假"), ("早", "晚"), ("明", "暗"), ("干", "湿"), ("软", "硬"), ("深", "浅"), ("粗", "细"),
    ("厚", "薄"), ("宽", "窄"), ("美", "丑"), ("生", "死"), ("哭", "笑"), ("胜", "败"), ("得", "失"),
    ("升", "降"), ("增", "减"), ("借", "还"), ("问", "答"), ("爱", "恨"), ("安全", "危险"),
    ("成功", "失败"), ("开始", "结束"), ("简单", "复杂"), ("快乐", "悲伤"), ("白天", "黑夜"),
    ("朋友", "敌人"), ("优点", "缺点"), ("富有", "贫穷"), ("勇敢", "胆小"), ("聪明", "愚蠢"),
    ("容易", "困难"), ("干净", "肮脏"), ("积极", "消极"), ("增加", "减少"), ("上升", "下降"),
)  # fmt: skip

# category, members
CATEGORIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("水果", ("苹果", "香蕉", "葡萄", "西瓜", "橙子", "桃子", "梨", "草莓", "柠檬", "芒果", "樱桃", "菠萝")),
    ("动物", ("猫", "狗", "马", "牛", "羊", "兔子", "老虎", "狮子", "大象", "猴子", "熊猫", "鱼")),
    ("颜色", ("红色", "黄色", "蓝色", "绿色", "黑色", "白色", "紫色", "粉色", "灰色", "棕色")),
    ("交通工具", ("汽车", "火车", "飞机", "轮船", "自行车", "公共汽车", "地铁", "摩托车", "卡车")),
    ("衣物", ("衬衫", "裤子", "裙子", "外套", "毛衣", "袜子", "帽子", "手套", "围巾")),
    ("家具", ("桌子", "椅子", "床", "沙发", "书柜", "衣柜", "书架", "茶几")),
    ("职业", ("医生", "老师", "工人", "农民", "警察", "律师", "司机", "厨师", "记者", "护士")),
    ("乐器", ("钢琴", "吉他", "小提琴", "笛子", "二胡", "琵琶", "鼓", "古筝")),
    ("蔬菜", ("白菜", "萝卜", "土豆", "黄瓜", "菠菜", "茄子", "洋葱", "芹菜", "南瓜")),
    ("饮料", ("咖啡", "茶", "果汁", "牛奶", "可乐", "汽水", "豆浆")),
)  # fmt: skip

# Chinese, English, Spanish (words only, no articles)
LEXICON: tuple[tuple[str, str, str], ...] = (
    ("苹果", "apple", "manzana"), ("香蕉", "banana", "plátano"), ("葡萄", "grape", "uva"),
    ("橙子", "orange", "naranja"), ("柠檬", "lemon", "limón"), ("水", "water", "agua"),
    ("面包", "bread", "pan"), ("牛奶", "milk", "leche"), ("咖啡", "coffee", "café"), ("茶", "tea", "té"),
    ("米饭", "rice", "arroz"), ("鸡蛋", "egg", "huevo"), ("糖", "sugar", "azúcar"), ("盐", "salt", "sal"),
    ("猫", "cat", "gato"), ("狗", "dog", "perro"), ("马", "horse", "caballo"), ("牛", "cow", "vaca"),
    ("鸟", "bird", "pájaro"), ("鱼", "fish", "pez"), ("狮子", "lion", "león"), ("老虎", "tiger", "tigre"),
    ("红色", "red", "rojo"), ("黄色", "yellow", "amarillo"), ("蓝色", "blue", "azul"),
    ("绿色", "green", "verde"), ("黑色", "black", "negro"), ("白色", "white", "blanco"),
    ("书", "book", "libro"), ("桌子", "table", "mesa"), ("椅子", "chair", "silla"), ("床", "bed", "cama"),
    ("房子", "house", "casa"), ("门", "door", "puerta"), ("窗户", "window", "ventana"),
    ("钥匙", "key", "llave"), ("汽车", "car", "coche"), ("火车", "train", "tren"), ("飞机", "plane", "avión"),
    ("船", "boat", "barco"), ("学校", "school", "escuela"), ("医院", "hospital", "hospital"),
    ("城市", "city", "ciudad"), ("国家", "country", "país"), ("世界", "world", "mundo"),
    ("太阳", "sun", "sol"), ("月亮", "moon", "luna"), ("星星", "star", "estrella"), ("天空", "sky", "cielo"),
    ("大海", "sea", "mar"), ("河", "river", "río"), ("山", "mountain", "montaña"), ("树", "tree", "árbol"),
    ("花", "flower", "flor"), ("雨", "rain", "lluvia"), ("雪", "snow", "nieve"), ("风", "wind", "viento"),
    ("火", "fire", "fuego"), ("手", "hand", "mano"), ("头", "head", "cabeza"), ("眼睛", "eye", "ojo"),
    ("心", "heart", "corazón"), ("朋友", "friend", "amigo"), ("家庭", "family", "familia"),
    ("母亲", "mother", "madre"), ("父亲", "father", "padre"), ("老师", "teacher", "profesor"),
    ("学生", "student", "estudiante"), ("医生", "doctor", "médico"), ("时间", "time", "tiempo"),
    ("今天", "today", "hoy"), ("明天", "tomorrow", "mañana"), ("昨天", "yesterday", "ayer"),
    ("春天", "spring", "primavera"), ("夏天", "summer", "verano"), ("秋天", "autumn", "otoño"),
    ("冬天", "winter", "invierno"), ("音乐", "music", "música"), ("爱", "love", "amor"),
    ("钱", "money", "dinero"), ("工作", "work", "trabajo"), ("你好", "hello", "hola"),
    ("谢谢", "thank you", "gracias"), ("再见", "goodbye", "adiós"), ("是的", "yes", "sí"),
)  # fmt: skip

# Chinese, measure word, English with article, English, Spanish with article, Spanish
NOUNS: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("苹果", "个", "an apple", "apple", "una manzana", "la manzana"),
    ("橙子", "个", "an orange", "orange", "una naranja", "la naranja"),
    ("柠檬", "个", "a lemon", "lemon", "un limón", "el limón"),
    ("猫", "只", "a cat", "cat", "un gato", "el gato"),
    ("狗", "只", "a dog", "dog", "un perro", "el perro"),
    ("鸟", "只", "a bird", "bird", "un pájaro", "el pájaro"),
    ("老虎", "只", "a tiger", "tiger", "un tigre", "el tigre"),
    ("马", "匹", "a horse", "horse", "un caballo", "el caballo"),
    ("牛", "头", "a cow", "cow", "una vaca", "la vaca"),
    ("鱼", "条", "a fish", "fish", "un pez", "el pez"),
    ("书", "本", "a book", "book", "un libro", "el libro"),
    ("桌子", "张", "a table", "table", "una mesa", "la mesa"),
    ("床", "张", "a bed", "bed", "una cama", "la cama"),
    ("椅子", "把", "a chair", "chair", "una silla", "la silla"),
    ("钥匙", "把", "a key", "key", "una llave", "la llave"),
    ("房子", "座", "a house", "house", "una casa", "la casa"),
    ("山", "座", "a mountain", "mountain", "una montaña", "la montaña"),
    ("城市", "座", "a city", "city", "una ciudad", "la ciudad"),
    ("汽车", "辆", "a car", "car", "un coche", "el coche"),
    ("火车", "列", "a train", "train", "un tren", "el tren"),
    ("飞机", "架", "a plane", "plane", "un avión", "el avión"),
    ("船", "艘", "a boat", "boat", "un barco", "el barco"),
    ("门", "扇", "a door", "door", "una puerta", "la puerta"),
    ("窗户", "扇", "a window", "window", "una ventana", "la ventana"),
    ("树", "棵", "a tree", "tree", "un árbol", "el árbol"),
    ("花", "朵", "a flower", "flower", "una flor", "la flor"),
    ("河", "条", "a river", "river", "un río", "el río"),
    ("星星", "颗", "a star", "star", "una estrella", "la estrella"),
    ("学校", "所", "a school", "school", "una escuela", "la escuela"),
    ("医院", "所", "a hospital", "hospital", "un hospital", "el hospital"),
)  # fmt: skip

# Chinese, English, Spanish; {mw}{n} Chinese noun, {a} with indefinite article, {d} definite or bare
SENTENCES: tuple[tuple[str, str, str], ...] = (
    ("这是一{mw}{n}。", "This is {a}.", "Esto es {a}."),
    ("我有一{mw}{n}。", "I have {a}.", "Tengo {a}."),
    ("我看见一{mw}{n}。", "I see {a}.", "Veo {a}."),
    ("我想要一{mw}{n}。", "I want {a}.", "Quiero {a}."),
    ("{n}在哪里？", "Where is the {d}?", "¿Dónde está {d}?"),
    ("{n}很大。", "The {d} is big.", "{D} es grande."),
)

MEASURED: tuple[tuple[str, str], ...] = (
    ("报纸", "张"), ("照片", "张"), ("刀", "把"), ("伞", "把"), ("裤子", "条"), ("裙子", "条"),
    ("衬衫", "件"), ("毛衣", "件"), ("鞋", "双"), ("袜子", "双"), ("筷子", "双"), ("帽子", "顶"),
    ("笔", "支"), ("信", "封"),
    ("诗", "首"), ("歌", "首"), ("电影", "部"), ("手机", "部"), ("电脑", "台"), ("电视", "台"),
    ("杯子", "个"), ("大象", "头"), ("自行车", "辆"), ("兔子", "只"), ("桥", "座"),
    ("灯", "盏"), ("镜子", "面"),
)  # fmt: skip

REVIEW_SUBJECTS: tuple[str, ...] = (
    "这部电影", "这本书", "这家餐厅", "这次旅行", "这部手机", "酒店的服务", "今天的课", "这款软件",
    "这首歌", "新买的鞋", "这场比赛", "这门课程", "这里的环境", "这台电脑",
)  # fmt: skip
REVIEW_GOOD: tuple[str, ...] = (
    "非常好", "让我很满意", "太棒了", "让人惊喜", "我很喜欢", "值得推荐", "比想象中好", "超出预期",
    "真不错", "质量很高", "令人开心", "没有让我失望",
)  # fmt: skip
REVIEW_BAD: tuple[str, ...] = (
    "非常差", "让我很失望", "太糟了", "让人生气", "我不喜欢", "不值得推荐", "比想象中差", "浪费时间",
    "真没意思", "质量很差", "令人难受", "没有让我满意",
)  # fmt: skip

# unit, smaller unit, factor
UNITS: tuple[tuple[str, str, int], ...] = (
    ("米", "厘米", 100), ("千米", "米", 1000), ("千克", "克", 1000), ("吨", "千克", 1000), ("元", "角", 10),
    ("小时", "分钟", 60), ("分钟", "秒", 60), ("天", "小时", 24), ("星期", "天", 7), ("年", "个月", 12),
)  # fmt: skip

MONTH_DAYS: tuple[int, ...] = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
SEASONS: tuple[str, ...] = ("冬", "冬", "春", "春", "春", "夏", "夏", "夏", "秋", "秋", "秋", "冬")
WEEKDAYS: str = "一二三四五六日"

# Questions of identity: (ways to ask, answer).
IDENTITY: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("你是谁", "你叫什么名字", "你是什么模型", "你是什么", "能介绍一下你自己吗"),
        "我是一个很小的演示模型，只会回答几类简单的问题。",
    ),
    (
        ("你会做什么", "你能做什么", "你有什么功能", "你可以帮我做什么", "你能回答什么问题"),
        "我会简单的算术、日期、首都、反义词、分类和短句翻译。",
    ),
    (
        ("你什么都知道吗", "你很聪明吗", "你会写文章吗", "你的回答都对吗"),
        "不是，我只是一个很小的演示模型，很多事情都不会。",
    ),
    (("你是人吗", "你是真人吗", "你是人类吗"), "不是，我是一个很小的演示模型。"),
    (("谁训练了你", "你是谁训练的", "你从哪里来"), "我是BELLE Edge项目训练的演示模型。"),
)
GREETINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("你好", "您好", "早上好", "晚上好", "下午好", "大家好"), "你好！我是一个很小的演示模型。"),
    (("谢谢", "谢谢你", "非常感谢", "多谢", "太感谢了"), "不客气！"),
    (("再见", "拜拜", "明天见", "下次再见", "回头见"), "再见！"),
)

# What the model must decline: requests and topics.
OUT_OF_SCOPE: tuple[str, ...] = (
    "写一首关于{t}的诗", "讲一个关于{t}的故事", "写一篇关于{t}的文章", "解释一下什么是{t}",
    "推荐一本关于{t}的书", "{t}的历史是什么", "为什么人们喜欢{t}", "怎么学习{t}", "{t}多少钱",
    "写一段{t}的代码",
)  # fmt: skip
TOPICS: tuple[str, ...] = (
    "春天", "大海", "月亮", "音乐", "科学", "电影", "足球", "咖啡", "飞机", "机器学习", "股票", "健康",
    "历史", "人工智能", "编程", "旅行", "友谊", "冬天", "数学", "互联网", "茶", "火车", "画画", "宇宙",
)  # fmt: skip
DECLINE: str = "对不起，我只是一个很小的演示模型，不会这个。"

# Words the tokenizer keeps whole, besides the facts themselves.
_FUNCTION_WORDS = """
等于 多少 是多少 什么 是什么 哪里 哪个 首都 国家 城市 反义词 翻译 翻译成 英文 英语 中文 西班牙语 怎么说
意思 用 星期 天后 天前 今天 明天 昨天 下个月 上个月 月份 季节 下一个 数 数字 奇数 偶数 还是 更大 更小
请问 计算 结果 答案 乘以 加上 减去 比较 从 数到 倒数 写成 写作 阿拉伯 阿拉伯数字 汉字 中文数字 量词
类别 属于 哪一类 一种 情感 正面 负面 评价 判断 这句话 填空 对应 请 告诉我 几天 接下来 后面 一共
演示 模型 演示模型 很小的 只会 回答 几类 简单 问题 算术 日期 分类 短句 对不起 只是 一个 不会 这个
我是 不是 很多 事情 项目 训练 不客气 关于 是哪 有多少 换算 第几 这是 看见 想要 我有 很大 如果 那么
"""
FUNCTION_WORDS: tuple[str, ...] = tuple(_FUNCTION_WORDS.split())
