/**
 * How cards are verified, by the first digits of their number, and how often somebody may fail (config/security.json). Keys are named, never
 * held here. What cannot be right is found when it is loaded.
 */
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

const closed = { additionalProperties: false }
const count = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum })
const keyName = Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,38}$' })

const ChipSchema = Type.Object(
  {
    scheme: Type.Union([Type.Literal('visa'), Type.Literal('mchip')]),
    /** Cryptogram versions (the byte in tag 9F10) that the programme's cards have; any other is refused. Visa 0A, 12, 22; M/Chip 10, 11. */
    cryptogramVersions: Type.Array(Type.Enum(['0A', '12', '22', '10', '11']), { minItems: 1 }),
    /** Issuer master keys: application cryptograms (E0), integrity of scripts (E2). */
    key: keyName,
    scriptKey: keyName,
    /** A transaction counter may be this far above the highest that was seen. */
    atcAheadMax: count(1, 65_535),
  },
  closed,
)

const PinSchema = Type.Object(
  {
    method: Type.Union([Type.Literal('pvv'), Type.Literal('ibm3624')]),
    key: keyName,
    /** Key index of a PVV. */
    pvki: Type.String({ pattern: '^[0-6]$' }),
    /** Wrong PINs in a row, over all channels; the last of them blocks the PIN. */
    triesMax: count(1, 9),
  },
  closed,
)

const CardValueSchema = Type.Object(
  {
    /** Card verification key (C0): CVV, iCVV, CVV2. dCVV is made with the chip's key. */
    key: keyName,
    /** Where the discretionary data of track 2 have the value; of dCVV four digits of the transaction counter follow it. */
    trackOffset: count(0, 12),
  },
  closed,
)

const ProfileSchema = Type.Object(
  {
    /** Card numbers that begin so; the longest that fits counts. */
    prefix: Type.String({ pattern: '^\\d{4,11}$' }),
    chip: Type.Optional(ChipSchema),
    pin: Type.Optional(PinSchema),
    cardValue: Type.Optional(CardValueSchema),
  },
  closed,
)

/** So many failures within the window, and whatever comes next is declined (59) until the window has passed. */
const VelocitySchema = Type.Object({ failuresMax: count(1, 10_000_000), windowMs: count(1000, 86_400_000) }, closed)

const SecuritySchema = Type.Object(
  {
    profiles: Type.Array(ProfileSchema),
    velocity: Type.Object(
      {
        card: VelocitySchema,
        terminal: VelocitySchema,
        /** A range of card numbers that is searched for cards is closed to whoever shows neither a right chip nor a right PIN. */
        bin: VelocitySchema,
      },
      closed,
    ),
    /** Verifications under way for one card count as tries until they are done, for at most this long. */
    pinUnderWayMs: count(100, 600_000),
    /** Key that personal data are enciphered with now (D0); older ones stay readable until they are rotated out. */
    dataKey: keyName,
  },
  closed,
)

export type SecurityParameters = Static<typeof SecuritySchema>
export type CardProfile = Static<typeof ProfileSchema>

/** @returns the parameters, or what is wrong with them in one line */
export function securityParametersOf(value: unknown): SecurityParameters | string {
  if (!Value.Check(SecuritySchema, value)) {
    const first = Value.Errors(SecuritySchema, value)[0]
    return `${first?.instancePath ?? '/'} ${first?.message ?? 'is not valid'}`
  }
  const prefixes = value.profiles.map(({ prefix }) => prefix)
  const twice = prefixes.find((prefix, index) => prefixes.indexOf(prefix) !== index)
  return twice === undefined ? value : `/profiles: ${twice} is there twice`
}

/** The profile of a card number: that with the longest prefix. */
export function profileOf({ profiles }: Pick<SecurityParameters, 'profiles'>, pan: string): CardProfile | undefined {
  let found: CardProfile | undefined
  for (const profile of profiles) {
    if (pan.startsWith(profile.prefix) && profile.prefix.length > (found?.prefix.length ?? 0)) found = profile
  }
  return found
}
