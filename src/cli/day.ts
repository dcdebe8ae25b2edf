/** `sarf day`: business days of a running switch over its API: which there are, what one has moved, and its closing. */
import { Command } from 'commander'
import { apiCommand, apiOf, lines, moreText, table, type Answer } from './apiClient.ts'
import { itemsOf } from './card.ts'
import { UsageError } from './usageError.ts'

const DAY_COLUMNS = [
  ['day', 'day'],
  ['state', 'state'],
  ['after', 'after'],
  ['until', 'until'],
  ['cut at', 'cutAt'],
  ['closed at', 'closedAt'],
  ['by', 'closedBy'],
] as const
const OFFICER = { role: 'settlement-officer' } as const

/** Exit codes: see `apiCommand`. */
export function dayCommand(): Command {
  const command = new Command('day').description('Business days, over the API of a running switch.')
  apiCommand(command, 'show [day]', 'Show a business day and its books; without a day the latest ones.', async (day, options) => {
    const api = await apiOf(options, OFFICER)
    if (day === '') {
      const days = await api.get('/v1/business-days')
      return { answer: days, text: table(itemsOf(days), DAY_COLUMNS) + moreText(days) }
    }
    const shown = await api.get(`/v1/business-days/${checked(day)}`)
    return { answer: shown, text: textOf(shown) }
  })
  apiCommand(
    command,
    'close <day>',
    'Close a business day whose cut-off has passed, and those before it; a switch does it by itself soon after the cut-off.',
    async (day, options) => {
      const api = await apiOf(options, OFFICER)
      const closed = await api.post(`/v1/business-days/${checked(day)}/close`, {})
      return { answer: closed, text: table([closed], DAY_COLUMNS) }
    },
  )
  return command
}

function checked(day: string): string {
  if (!/^20\d\d-\d\d-\d\d$/.test(day)) throw new UsageError('a business day is a date, such as 2026-11-27')
  return day
}

function textOf(day: Answer): string {
  const totals = Array.isArray(day['totals']) ? (day['totals'] as Answer[]) : []
  return [
    lines(day, [
      ['business day', 'day'],
      ['state', 'state'],
      ['event numbers after', 'after'],
      ['until', 'until'],
      ['closed at', 'closedAt'],
      ['outlets', 'outlets'],
      ['earned by outlets (EGP)', 'earned'],
      ['owed by treasury and fund (EGP)', 'claimed'],
    ]),
    table(totals, [
      ['account', 'code'],
      ['unit', 'unit'],
      ['debits', 'debits'],
      ['credits', 'credits'],
      ['balance', 'balance'],
    ]),
  ].join('\n')
}
