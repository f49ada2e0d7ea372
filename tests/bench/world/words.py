"""Text that compresses as people's text does.

Words of a made-up language among the commonest English ones, as often as the words of a language are
(the n-th has a share of about 1/n), and turns of phrase that come again. What matters is what a
compressor sees: about as many bits a word as in letters of people.
"""
import itertools, random, re

COMMON = ("the of and to a in is you that it he was for on are as with his they I at be this have from or one had by word but not "
          "what all were we when your can said there use an each which she do how their if will up other about out many then them "
          "these so some her would make like him into time has look two more write go see number no way could people my than first "
          "been call who its now find long down day did get come made may part please thanks regards meeting attached invoice order").split()
SYLLABLES = ("an ar ber cal con de del dis em en er es fer ful gen im in ing ion is ist ity land ler lin ling lo man mar ment mi na "
             "ner ness on or per pre pro ra re ri ro se sha sion ster ta te ter ti tion tor un val ver vi wor").split()
VOCABULARY, PHRASES = 12_000, 4_000
LINE = 74
FOLD = re.compile(r"(.{1,%d})(?: |$)" % LINE)


class Words:
    def __init__(self, seed=1):
        rng = random.Random(seed)
        words = dict.fromkeys(COMMON)
        while len(words) < VOCABULARY:
            word = "".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3, 3, 4))))
            words[word.capitalize() if rng.random() < 0.08 else word] = None
        self.words = list(words)
        self.weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(self.words))))
        phrases = [" ".join(self.some(rng, rng.randrange(3, 8))) for _ in range(PHRASES)]
        spread = sum(1 / (rank + 20) for rank in range(PHRASES))
        # One turn of speech for so many words.
        share = self.weights[-1] / 9 / spread
        self.turns = self.words + phrases
        rest = itertools.accumulate((share / (rank + 20) for rank in range(PHRASES)), initial=self.weights[-1])
        self.turn_weights = self.weights + list(rest)[1:]

    def some(self, rng, count):
        return rng.choices(self.words, cum_weights=self.weights, k=count)

    def line(self, rng, count):
        return " ".join(self.some(rng, count))

    def sentence(self, rng):
        turns = rng.choices(self.turns, cum_weights=self.turn_weights, k=rng.randrange(4, 18))
        if len(turns) > 9:
            turns[5] += ","
        text = " ".join(turns)
        if rng.random() < 0.06:
            text += f" {rng.randrange(10 ** rng.randrange(1, 6))}"
        return text[:1].upper() + text[1:] + rng.choice("....?!")

    def paragraphs(self, rng, words):
        """Paragraphs, each in one line, of about so many words in all."""
        while words > 0:
            sentences = [self.sentence(rng) for _ in range(rng.randrange(1, 7))]
            words -= 11 * len(sentences)
            yield " ".join(sentences)


def folded(text):
    """In lines of the usual length."""
    return FOLD.sub(r"\1\n", text).rstrip("\n")
