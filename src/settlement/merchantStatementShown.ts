/** The statement of an outlet as the API shows it, and as CSV. Amounts in major units, loaves whole. */
import { formatAmount } from '../money.ts'
import { formatUnits } from '../programme/statement.ts'
import { csvLine } from './csv.ts'
import type { MerchantStatement } from './merchantStatement.ts'

export interface ShownStatement {
  readonly acceptorId: string
  readonly name: string
  readonly category: string
  readonly governorate: number
  readonly day: string
  readonly opening: string
  readonly lines: readonly {
    readonly source: string
    readonly transfers: number
    readonly received: string
    readonly givenBack: string
    readonly net: string
  }[]
  readonly payouts: readonly { readonly endToEndId: string; readonly untilDay: string; readonly amount: string }[]
  readonly closing: string
  readonly units: readonly {
    readonly unit: string
    readonly transfers: number
    readonly handedOut: string
    readonly givenBack: string
    readonly net: string
  }[]
  readonly control: {
    readonly transfers: number
    readonly received: string
    readonly givenBack: string
    readonly paidOut: string
  }
}

export function shownStatement(statement: MerchantStatement): ShownStatement {
  const { outlet, day, opening, lines, payouts, closing, units, control } = statement
  const { acceptorId, name, category, governorate } = outlet
  return {
    ...{ acceptorId, name, category, governorate, day },
    opening: formatAmount(opening),
    lines: lines.map(({ source, transfers, received, givenBack }) => ({
      ...{ source, transfers, received: formatAmount(received), givenBack: formatAmount(givenBack) },
      net: formatAmount(received - givenBack),
    })),
    payouts: payouts.map((payout) => ({ ...payout, amount: formatAmount(payout.amount) })),
    closing: formatAmount(closing),
    units: units.map(({ unit, currency, transfers, handedOut, givenBack }) => {
      const text = (value: number): string => formatUnits(value, { currency })
      return { unit, transfers, handedOut: text(handedOut), givenBack: text(givenBack), net: text(handedOut - givenBack) }
    }),
    control: {
      transfers: control.transfers,
      received: formatAmount(control.received),
      givenBack: formatAmount(control.givenBack),
      paidOut: formatAmount(control.paidOut),
    },
  }
}

/** A line each for the balances, what came and went, units, and last the control sums. */
export function statementCsv({
  acceptorId,
  name,
  day,
  opening,
  lines,
  payouts,
  closing,
  units,
  control,
}: ShownStatement): string {
  const row = (record: string, what: string, unit: string, transfers: number | '', ...amounts: string[]): string =>
    csvLine([acceptorId, name, day, record, what, unit, ...[String(transfers), ...amounts].map((plain) => ({ plain }))])
  return [
    csvLine(['merchant', 'name', 'day', 'record', 'what', 'unit', 'transfers', 'in', 'out', 'net']),
    row('opening', '', 'EGP', '', '', '', opening),
    ...lines.map((line) => row('line', line.source, 'EGP', line.transfers, line.received, line.givenBack, line.net)),
    ...payouts.map(({ endToEndId, amount }) => row('payout', endToEndId, 'EGP', '', '', amount, `-${amount}`)),
    row('closing', '', 'EGP', '', '', '', closing),
    ...units.map((line) => row('units', '', line.unit, line.transfers, line.handedOut, line.givenBack, line.net)),
    row('control', 'lines', 'EGP', control.transfers, control.received, control.givenBack, ''),
    row('control', 'payouts', 'EGP', payouts.length, '', control.paidOut, ''),
  ].join('')
}
