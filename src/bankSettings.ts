/** What `settlement.bank` of `config/sarf.json` may hold: the statements of the programme's bank (spec/bank.md). */
import Type from 'typebox'

const count = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum })
const closed = { additionalProperties: false }

export const BankSchema = Type.Object(
  {
    /** The programme's own accounts: IBANs, or what the bank calls them. */
    accounts: Type.Array(Type.String({ pattern: '^[A-Z0-9]{4,34}$' }), { maxItems: 100 }),
    fileBytesMax: count(1024, 268_435_456),
    /** Of a statement; each is matched in the SQL transaction of its file. */
    entriesMax: count(1, 200_000),
    /** For the whole of a file. */
    arrivesWithinMs: count(1000, 3_600_000),
    /** How far the dates of an entry and of a payout or deposits may lie apart where nothing but the amount names it; and of a claim. */
    dateDaysMax: count(0, 60),
    claimDaysMax: count(0, 400),
  },
  closed,
)
