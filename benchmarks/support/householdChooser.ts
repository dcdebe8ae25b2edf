/**
 * Which household's card a message is for. What anybody may do at any time goes to households at random. What is rationed goes round: each kind
 * deals the households that may have it from a shuffled deck, one after the other, so that as few as possible are asked for twice. A deck that
 * is through begins again; the answers are declines then, as they would be in life.
 */
import { FIRST_PLAIN_HOUSEHOLD, GOVERNORATE_WITHOUT_SERVICES } from '../../src/programme/demo.ts'
import { demoHousehold } from '../../src/programme/demoHousehold.ts'
import type { MessageKind } from './messageKinds.ts'
import type { Random } from './random.ts'

export class HouseholdChooser {
  readonly #households: number
  readonly #random: Random
  readonly #decks = new Map<string, Deck>()
  #known: readonly Known[] | undefined

  /** @param households cards are those of FIRST_PLAIN_HOUSEHOLD to this one */
  constructor(households: number, random: Random) {
    this.#households = households
    this.#random = random
  }

  /**
   * @param governorate of the terminal; 0 where it is everywhere
   * @throws RangeError where no household may have it there
   */
  choose(kind: MessageKind, governorate: number): number {
    switch (kind) {
      case 'bread':
      case 'withdrawal':
        return this.#deal(kind, () => true)
      case 'points':
        return this.#deal(kind, ({ hasPoints }) => hasPoints)
      case 'eligibility':
        return this.#deal(kind, ({ headCovered }) => headCovered)
      // Ration is handed out in the household's own governorate.
      case 'ration':
        return this.#deal(`${kind} in governorate ${String(governorate)}`, (household) => household.governorate === governorate)
      default:
        return FIRST_PLAIN_HOUSEHOLD + this.#random.below(this.#households - FIRST_PLAIN_HOUSEHOLD + 1)
    }
  }

  /** How many members are counted for bread. */
  breadMembers(household: number): number {
    return this.#all()[household - FIRST_PLAIN_HOUSEHOLD]?.breadMembers ?? 1
  }

  /** How often decks had to begin again: from then on declines are to be expected. */
  get roundsBegunAgain(): ReadonlyMap<string, number> {
    return new Map([...this.#decks].filter(([, deck]) => deck.rounds > 0).map(([name, deck]) => [name, deck.rounds]))
  }

  #deal(name: string, fits: (household: Known) => boolean): number {
    let deck = this.#decks.get(name)
    if (deck === undefined) {
      const fitting = this.#all().filter((household) => household.governorate !== GOVERNORATE_WITHOUT_SERVICES && fits(household))
      if (fitting.length === 0) throw new RangeError(`there is no household for ${name}: take more cards`)
      deck = new Deck(
        fitting.map(({ household }) => household),
        this.#random,
      )
      this.#decks.set(name, deck)
    }
    return deck.deal()
  }

  /** Read when the first message needs it: a run of purchases alone does without. */
  #all(): readonly Known[] {
    this.#known ??= Array.from({ length: this.#households - FIRST_PLAIN_HOUSEHOLD + 1 }, (_, index) =>
      knownOf(FIRST_PLAIN_HOUSEHOLD + index),
    )
    return this.#known
  }
}

/** What matters here of a household: all of it would be some hundred bytes a person. */
interface Known {
  readonly household: number
  readonly governorate: number
  readonly breadMembers: number
  readonly hasPoints: boolean
  readonly headCovered: boolean
}

function knownOf(household: number): Known {
  const { governorate, breadMembers, points, persons } = demoHousehold(household)
  const cover = persons[0]?.cover
  return { household, governorate, breadMembers, hasPoints: points > 0, headCovered: cover !== null && cover !== undefined }
}

class Deck {
  rounds = 0
  readonly #cards: Uint32Array
  #next = 0

  /** Fisher and Yates, as Durstenfeld has it. */
  constructor(cards: readonly number[], random: Random) {
    const shuffled = Uint32Array.from(cards)
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = random.below(last + 1)
      const held = shuffled[last] ?? 0
      shuffled[last] = shuffled[other] ?? 0
      shuffled[other] = held
    }
    this.#cards = shuffled
  }

  deal(): number {
    if (this.#next === this.#cards.length) {
      this.#next = 0
      this.rounds++
    }
    return this.#cards[this.#next++] ?? 0
  }
}
