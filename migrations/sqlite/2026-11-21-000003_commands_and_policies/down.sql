DROP TABLE registration_tokens;
DROP TABLE policies;
DROP TABLE alerts;
DROP TABLE commands;
