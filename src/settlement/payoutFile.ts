/** The file of a payout run for the bank, and the same as CSV: both of what was fixed when the run was approved, so that every copy has the same bytes. */
import { assert } from '../assert.ts'
import { refused, done, type Outcome, type SqlTransaction } from '../ledger/programme/desk.ts'
import { payoutLines, type PayoutRun } from '../ledger/settlement/payoutRuns.ts'
import { formatAmount } from '../money.ts'
import { csvLine } from './csv.ts'
import { pain001, type Payment, type PaymentMessage } from './pain001.ts'
import { payoutRunOf } from './payoutRuns.ts'

/** Looks something up in a SQL transaction of its own. */
export type Read = <T>(look: (tx: SqlTransaction) => Promise<T>) => Promise<T>

export const PAYOUT_FORMATS = ['pain.001', 'csv'] as const
export type PayoutFormat = (typeof PAYOUT_FORMATS)[number]

export interface PayoutFile {
  readonly name: string
  readonly type: string
  /** Read from the ledger as it is taken. */
  readonly chunks: AsyncGenerator<string>
}

const LINES_A_READ = 1000

export async function payoutFile(read: Read, runId: number, format: PayoutFormat): Promise<Outcome<PayoutFile>> {
  const run = await read((tx) => payoutRunOf(tx, runId))
  if (!run.ok) return run
  const { state, posted, payouts } = run.value
  if (state === 'posting')
    return refused(
      'conflict',
      'payout-run-posting',
      `The run is approved and being posted, ${String(posted)} of ${String(payouts)} payouts: there is a file of it when it is done. Try again in some seconds.`,
    )
  const message = messageOf(run.value)
  if (message === undefined)
    return refused('conflict', 'payout-run-not-approved', 'The run is not approved: there is no file of it for the bank.')
  const payments = paymentsOf(read, runId)
  switch (format) {
    case 'pain.001':
      return done({
        name: `${message.messageId}.xml`,
        type: 'application/xml; charset=utf-8',
        chunks: pain001(message, payments),
      })
    case 'csv':
      return done({ name: `${message.messageId}.csv`, type: 'text/csv; charset=utf-8', chunks: csv(message, payments) })
  }
}

function messageOf(run: PayoutRun): PaymentMessage | undefined {
  const { messageId, executionDay, debtorName, debtorIban, debtorBic, decidedAt, payouts, amount } = run
  if (
    run.state !== 'approved' ||
    messageId === null ||
    executionDay === null ||
    debtorName === null ||
    debtorIban === null ||
    decidedAt === null
  )
    return undefined
  const debtor = { name: debtorName, iban: debtorIban, bic: debtorBic }
  return { messageId, executionDay, debtor, createdAtMs: decidedAt.getTime(), count: payouts, sum: amount }
}

async function* paymentsOf(read: Read, runId: number): AsyncGenerator<readonly Payment[]> {
  for (let after = 0; ;) {
    const lines = await read((tx) => payoutLines(tx, runId, after, LINES_A_READ))
    if (lines.length > 0)
      yield lines.map(({ endToEndId, ...line }) => {
        assert(endToEndId !== null, 'what was approved has its EndToEndId')
        return { ...line, endToEndId }
      })
    after = lines.at(-1)?.ordinal ?? after
    if (lines.length < LINES_A_READ) return
  }
}

/** First a line `H` with the control sums, then a line `P` for each payment. */
async function* csv(message: PaymentMessage, payments: AsyncIterable<readonly Payment[]>): AsyncGenerator<string> {
  const { messageId, executionDay, debtor, count, sum } = message
  yield csvLine(['record', 'id', 'day', 'iban', 'bic', 'name', 'merchant', 'currency', 'amount', 'payments'])
  const [amount, number] = [{ plain: formatAmount(sum) }, { plain: String(count) }]
  yield csvLine(['H', messageId, executionDay, debtor.iban, debtor.bic ?? '', debtor.name, '', 'EGP', amount, number])
  for await (const chunk of payments) yield chunk.map(csvPayment).join('')
}

function csvPayment({ endToEndId, untilDay, iban, bic, holderName, acceptorId, amount }: Payment): string {
  return csvLine(['P', endToEndId, untilDay, iban, bic ?? '', holderName, acceptorId, 'EGP', { plain: formatAmount(amount) }, ''])
}
