-- Up Migration

-- What must be kept of cards and persons and may not be read by whoever reads the database: enciphered by the switch (src/security/dataVault.ts)
-- with the data key that `key_id` names, and bound to its row, so that a value which was copied to another one does not open there. Tables of their
-- own: the tables that every message needs stay narrow, and a role may be kept away from these.
--
-- The lengths are those of 12 bytes of nonce, the digits, 16 bytes of tag: a number that somebody writes in the clear is refused.

-- The card number: for what names a card to the outside, such as printing it. Cards are found by their token, never by this.
CREATE TABLE card_secret (
  shard smallint NOT NULL,
  token text NOT NULL,
  key_id text NOT NULL CHECK (key_id ~ '^data\.[1-9][0-9]*$'),
  pan bytea NOT NULL CHECK (octet_length(pan) BETWEEN 40 AND 47),
  PRIMARY KEY (shard, token)
);

-- National ID and mobile number, with the keyed hashes by which a person is found (src/personalData.ts). A national ID is one person's; a family
-- may share a mobile, and not everybody has one. Whoever changes one value seals both with the present key: `key_id` is that of the row.
CREATE TABLE person_secret (
  shard smallint NOT NULL,
  person_id bigint NOT NULL,
  key_id text NOT NULL CHECK (key_id ~ '^data\.[1-9][0-9]*$'),
  national_id bytea NOT NULL CHECK (octet_length(national_id) = 42),
  mobile bytea CHECK (octet_length(mobile) = 41),
  national_id_token text NOT NULL,
  mobile_token text,
  PRIMARY KEY (shard, person_id),
  CHECK ((mobile IS NULL) = (mobile_token IS NULL))
);
CREATE UNIQUE INDEX person_secret_national_id ON person_secret (shard, national_id_token);
CREATE INDEX person_secret_mobile ON person_secret (shard, mobile_token) WHERE mobile_token IS NOT NULL;
