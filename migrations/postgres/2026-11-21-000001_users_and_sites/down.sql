DROP TABLE sites;
DROP TABLE clients;
DROP TABLE users;
