-- Up Migration

-- What a message that names a terminal in DE 41 must have come by, or it is not that terminal's. `certificate` is the SHA-256 of a client
-- certificate as 64 upper-case hexadecimal digits; a terminal without one of its own has its merchant's. `link` is the name of a link and `mac_key`
-- that of a key in the configuration. Null binds to nothing.
ALTER TABLE terminal
  ADD COLUMN certificate text CHECK (certificate ~ '^[0-9A-F]{64}$'),
  ADD COLUMN link text CHECK (link <> ''),
  ADD COLUMN mac_key text CHECK (mac_key <> ''),
  ADD CONSTRAINT terminal_state CHECK (state IN ('ACTIVE', 'SUSPENDED', 'RETIRED'));

ALTER TABLE merchant
  ADD COLUMN certificate text CHECK (certificate ~ '^[0-9A-F]{64}$'),
  ADD CONSTRAINT merchant_state CHECK (state IN ('ACTIVE', 'SUSPENDED', 'CLOSED'));
