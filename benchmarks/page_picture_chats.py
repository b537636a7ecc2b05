"""What the pictures of the page show: a chat in each language, and titles for the list."""

from __future__ import annotations

OTHERS = [
    "给同事的感谢信",
    "把菜谱翻译成西班牙语",
    "下雨的周末带孩子做什么",
    "Summary of the meeting notes",
    "静夜思：逐句讲解",
    "Carta de presentación",
]
_ZH = """可以这样想：猜一个 1 到 100 之间的数，每次都猜**正中间**，对方只回答“大了”或“小了”。每猜一次，\
剩下的可能就少一半，所以最多猜 7 次。

```python
def search(items: list[int], wanted: int) -> int:
    \"\"\"返回下标；找不到时返回 -1。\"\"\"
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2  # 每一步丢掉一半
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(items) and items[low] == wanted else -1
```

与顺序查找相比：

| 方法 | 最坏步数 | 一百万个元素 | 要求 |
|---|---|---|---|
| 顺序查找 | $n$ | 1 000 000 | 无 |
| 二分查找 | $\\lceil \\log_2 n \\rceil$ | 20 | 先排好序 |

需要注意三点：

1. 列表必须已经**排好序**；
2. 空列表也要能处理；
3. 有重复元素时，上面的写法返回第一个。
"""
_EN = """Sunlight looks white, but it is a mix of all colours. On its way through the air it meets molecules that are \
much smaller than its wavelength, and these scatter **short** waves far more than long ones:

$$I \\propto \\frac{1}{\\lambda^4}$$

| colour | wavelength | scattered, against red |
|---|---|---|
| red | 700 nm | 1 |
| green | 530 nm | 3 |
| blue | 450 nm | 6 |

So blue light comes to your eye from *every* part of the sky, and red light mostly straight from the sun. In the \
evening the way through the air is longer: the blue is gone before the light arrives, and the sun looks red.

> Violet is scattered even more, but the sun sends less of it, and our eyes hardly see it.
"""
_ES = """¡Claro! Para cuatro personas:

- **400 g** de espinacas frescas
- **1 bote** de garbanzos cocidos
- 2 dientes de ajo y una rebanada de pan
- comino, pimentón y aceite de oliva

1. Fríe el ajo y el pan; májalos con el comino.
2. Saltea las espinacas tres minutos.
3. Añade los garbanzos, el majado y medio vaso de agua.
4. Deja que hierva a fuego lento **diez minutos**.

Se sirven calientes, con un chorrito de vinagre.
"""
CHATS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "zh": ("解释二分查找", [("user", "请用一个例子解释二分查找，并和顺序查找比较。"), ("assistant", _ZH)]),
    "en": (
        "Why is the sky blue?",
        [("user", "Why is the sky blue? A bit of physics is fine."), ("assistant", _EN)],
    ),
    "es": (
        "Espinacas con garbanzos",
        [("user", "Dame una receta de espinacas con garbanzos."), ("assistant", _ES)],
    ),
}
