/** `sarf claims`: what treasury and health fund owe for business days, and what they have paid, over the API of a running switch. */
import { Command } from 'commander'
import { apiCommand, apiOf, moreText, table, type Answer, type ApiOptions } from './apiClient.ts'
import { itemsOf } from './card.ts'

interface ClaimsOptions extends ApiOptions {
  readonly from: string
  readonly until: string
  readonly payer?: string
  readonly open?: true
  readonly csv?: true
}

const TOTALS = [
  ['payer', 'payer'],
  ['amount', 'amount'],
  ['paid', 'paid'],
  ['open', 'open'],
  ['open since', 'openSince'],
  ['reference', 'reference'],
] as const
const CLAIMS = [
  ['day', 'day'],
  ['payer', 'payer'],
  ['service', 'service'],
  ['governorate', 'governorate'],
  ['units', 'units'],
  ['amount', 'amount'],
  ['paid', 'paid'],
  ['open', 'open'],
  ['days', 'ageDays'],
] as const

/** Exit codes: see `apiCommand`. */
export function claimsCommand(): Command {
  return apiCommand<ClaimsOptions>(
    new Command(),
    'claims',
    'Show what treasury and health fund owe for business days, and what they have paid: totals, and the first 200 claims.',
    async (_, options) => {
      const api = await apiOf(options, { role: 'settlement-officer' })
      const { from, until, payer } = options
      const asked = new URLSearchParams({
        from,
        until,
        ...(payer === undefined ? {} : { payer }),
        ...(options.open === true ? { state: 'open' } : {}),
      })
      if (options.csv === true) {
        const csv = await api.export(`/v1/claims?${asked.toString()}`, 'text/csv')
        return { answer: { csv }, text: csv }
      }
      const answer = await api.get(`/v1/claims?limit=200&${asked.toString()}`)
      const totals = table((answer['totals'] ?? []) as Answer[], TOTALS)
      return { answer, text: `${totals}\n${table(itemsOf(answer), CLAIMS)}${moreText(answer)}` }
    },
  )
    .requiredOption('--from <day>', 'the first business day, 2026-12-01')
    .requiredOption('--until <day>', 'the last business day')
    .option('--payer <account>', 'only of one payer: 1200, 1210 or 1220')
    .option('--open', 'only what is not paid')
    .option('--csv', 'all of it as CSV')
}
