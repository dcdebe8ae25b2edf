/** What an answer says beyond its response code, in the programme's words: what was taken from where, what is left, and why not. */
import { parseAdditionalAmounts } from '../iso8583/additionalAmounts.ts'
import { amountTypeMeaning } from '../iso8583/meaning.ts'
import type { Message } from '../iso8583/message.ts'
import { parsePrivateData, privateDatum } from '../iso8583/privateData.ts'
import { formatAmount } from '../money.ts'
import type { AccountTypes, PurseDefinition } from '../programmeParameters.ts'

export interface Balance {
  readonly purse: string
  /** DE 54 positions 3 and 4, in words. */
  readonly what: string
  readonly unit: string
  readonly currency: string
  /** Minor units of the currency; pieces where it is none. */
  readonly amount: number
}

export interface Outcome {
  /** DE 6: what the cash purse paid, piasters. */
  readonly billed?: number
  readonly balances?: readonly Balance[]
  /** DE 48 TR. */
  readonly triesLeft?: number
  /** DE 48 CV. */
  readonly cover?: { readonly class: string; readonly until: string }
  /** DE 48 RM. */
  readonly reason?: string
}

interface Programme {
  readonly accountTypes: AccountTypes
  readonly purses: readonly PurseDefinition[]
}

/** Only what the answer has. */
export function outcomeOf(answer: Message, programme: Programme): Outcome {
  const billed = answer.text(6)
  const balances = balancesOf(answer.text(54), programme)
  const parsed = parsePrivateData(answer.text(48) ?? '')
  const data = parsed.ok ? parsed.value : []
  const tries = privateDatum(data, 'TR')
  const cover = coverOf(privateDatum(data, 'CV'))
  const reason = privateDatum(data, 'RM')
  return {
    ...(billed === undefined ? {} : { billed: Number(billed) }),
    ...(balances.length === 0 ? {} : { balances }),
    ...(tries === undefined ? {} : { triesLeft: Number(tries) }),
    ...(cover === undefined ? {} : { cover }),
    ...(reason === undefined ? {} : { reason }),
  }
}

export function outcomeLines({ billed, balances = [], triesLeft, cover, reason }: Outcome): string[] {
  const rows: [name: string, value: string | undefined][] = [
    ['taken from the cash purse', billed === undefined ? undefined : `${formatAmount(billed)} EGP`],
    ...balances.map(({ purse, what, unit, currency, amount }): [string, string] => [
      `${purse}, ${what}`,
      `${currency === NO_CURRENCY ? String(amount) : formatAmount(amount)} ${unit}`,
    ]),
    ['tries left', triesLeft === undefined ? undefined : String(triesLeft)],
    ['cover', cover === undefined ? undefined : `${cover.class} until ${cover.until}`],
    ['reason', reason],
  ]
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`    ${name.padEnd(NAME_WIDTH)} ${value}`]))
}

const NAME_WIDTH = 32

/** ISO 4217: no currency is involved, so what is counted are pieces. */
const NO_CURRENCY = '999'

function balancesOf(text: string | undefined, { accountTypes, purses }: Programme): Balance[] {
  const parsed = text === undefined ? undefined : parseAdditionalAmounts(text)
  if (parsed?.ok !== true) return []
  return parsed.value.map(({ accountType, amountType, currency, sign, amount }) => {
    const name = accountTypes[accountType] ?? `account type ${accountType}`
    const purse = purses.find((candidate) => candidate.name === name)
    return {
      purse: name,
      what: amountTypeMeaning(amountType),
      unit: purse?.unit.name ?? '',
      currency,
      amount: sign === 'D' ? -amount : amount,
    }
  })
}

/** Class and last day: `STANDARD20301231`. */
function coverOf(text: string | undefined): { class: string; until: string } | undefined {
  const [, coverClass, year, month, day] = /^(.+)(\d{4})(\d{2})(\d{2})$/.exec(text ?? '') ?? []
  if (coverClass === undefined || year === undefined || month === undefined || day === undefined) return undefined
  return { class: coverClass, until: `${year}-${month}-${day}` }
}
