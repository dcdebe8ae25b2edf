/** `sarf household`: a household of a running switch over its API, with its members, cards and purses. */
import { Command } from 'commander'
import { apiCommand, apiOf, lines, table, type Answer } from './apiClient.ts'
import { CARD_COLUMNS, itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: see `apiCommand`. */
export function householdCommand(): Command {
  const command = new Command('household').description('Households, over the API of a running switch.')
  apiCommand(command, 'show <householdId>', 'Show a household: its members and their cards.', async (householdId, options) => {
    if (!/^\d{1,15}$/.test(householdId)) throw new UsageError('a household is named by a number, the householdId')
    const api = await apiOf(options, { role: 'supply-officer' })
    const household = await api.get(`/v1/households/${householdId}`)
    const cards = await api.get(`/v1/households/${householdId}/cards`)
    return { answer: { household, cards: cards['items'] }, text: textOf(household, itemsOf(cards)) }
  })
  return command
}

function textOf(household: Answer, cards: readonly Answer[]): string {
  const members = Array.isArray(household['members']) ? (household['members'] as Answer[]) : []
  return [
    lines(household, [
      ['household', 'householdId'],
      ['governorate', 'governorate'],
      ['on the list for ration', 'rationMembers'],
      ['on the list for bread', 'breadMembers'],
    ]),
    table(members, [
      ['person', 'personId'],
      ['head', 'head'],
      ['age', 'age'],
      ['national ID', 'nationalId'],
      ['mobile', 'mobile'],
      ['language', 'language'],
    ]),
    table(cards, [...CARD_COLUMNS.slice(0, 1), ['person', 'personId'], ...CARD_COLUMNS.slice(1)]),
  ].join('\n')
}
