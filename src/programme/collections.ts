/** Where and until when cards are collected: what the hotline says to whoever asks. */
import type { CardState, CardToken } from '../card.ts'
import { cairoDay } from '../clock.ts'
import { readCardsOfHousehold, type CardLife } from '../ledger/programme/cards.ts'
import type { SqlTransaction } from '../ledger/programme/desk.ts'
import { readMembers, type Person } from '../ledger/programme/persons.ts'
import { readDiwan, readPlace, type Place } from '../ledger/programme/places.ts'
import { parametersOn, type Programme } from '../programmeParameters.ts'
import { ageOn } from './calendar.ts'

export interface Collection {
  readonly cardId: CardToken
  readonly number: string
  readonly state: CardState
  readonly personId: number
  /** The head collects for those who are not old enough. */
  readonly collectedBy: 'holder' | 'head'
  /** In the order of time; the last day of each is null until the notice was received. */
  readonly periods: readonly { readonly place: Place; readonly until: string | null }[]
}

const ON_THE_WAY: readonly CardState[] = ['ORDERED', 'AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN']

/** The person's cards that are to be collected; those of the household's children too, where the person is its head. */
export async function collectionsOf(tx: SqlTransaction, programme: Programme, person: Person): Promise<Collection[]> {
  const today = cairoDay(tx.nowMs)
  const { collectAboveAge } = parametersOn(programme, today).cards
  const isChild = ({ birthDate, head }: Person): boolean => !head && ageOn(birthDate, today) <= collectAboveAge
  const members = new Map((await readMembers(tx, person.householdId)).map((member) => [member.personId, member]))
  const cards = (await readCardsOfHousehold(tx, person.householdId)).filter(({ state }) => ON_THE_WAY.includes(state))
  const found: Collection[] = []
  for (const card of cards) {
    const holder = members.get(card.personId ?? 0)
    if (holder === undefined) continue
    if (holder.personId !== person.personId && !(person.head && isChild(holder))) continue
    found.push({
      cardId: card.token,
      number: card.masked,
      state: card.state,
      personId: holder.personId,
      collectedBy: isChild(holder) ? 'head' : 'holder',
      periods: await periodsOf(tx, card),
    })
  }
  return found
}

/** First at the named place, then at the Diwan of its governorate, then never. */
async function periodsOf(tx: SqlTransaction, card: CardLife): Promise<Collection['periods']> {
  const named = card.placeId === null ? undefined : await readPlace(tx, card.placeId)
  const diwan = await readDiwan(tx, named?.governorate ?? card.governorate)
  const atPlace = named === undefined ? [] : [{ place: named, until: card.namedPlaceUntil }]
  const atDiwan = diwan === undefined ? [] : [{ place: diwan, until: card.diwanUntil }]
  return card.state === 'AWAITING_COLLECTION_DIWAN' ? atDiwan : [...atPlace, ...atDiwan]
}
