-- é comment
CREATE TABLE n (id int);
CREATE INDEX i ON n(id);
CREATE INDEX i2 ON orders (é);
/* x */ ALTER TABLE public.orders ADD COLUMN a uuid NOT NULL DEFAULT gen_random_uuid(), ADD COLUMN b timestamptz DEFAULT now(), DROP COLUMN c;
-- migration-lint: ignore=MIG005 reason="ok"
ALTER TABLE orders DROP COLUMN d;
-- migration-lint: ignore=MIG005
ALTER TABLE orders DROP COLUMN d;
-- migration-lint: ignore=MIG001 reason="x"
SELECT 1;
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
SELEC 'é', é;
UPDATE orders SET a=1;
COPY t FROM stdin;
1;2
'
\.
DO $$ select ; $$;
ALTER TABLE orders ALTER x TYPE varchar(20);
