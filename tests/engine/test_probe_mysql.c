/*
 * engine/probe_mysql: sessions with MariaDB 10.11, of its own client and of one that uses what
 * there is (prepared statements, cursors, several results, commands in flight together), in each
 * form that answers can have, are left whole with statement 0 closed wherever that may be done;
 * never before the login, into a packet, while a command waits for its answer, or towards the
 * client; what cannot be followed ends it.
 */
#include "probe_harness.h"

static const struct probe_settings settings = {
	.protocol = PROBE_MYSQL,
	.interval_us = 60000000,
};

/* Version "5" offers all that can be agreed on, and MariaDB's further capabilities. */
#define GREETING                                                                            \
	"\57\0\0\0\0125\0\1\0\0\0abcdefgh\0\376\377\10\2\0\377\377\25\0\0\0\0\0\0\37\0\0\0" \
	"ijklmnopqrst\0"
#define RESPONSE_OF(low, second, third, high)                                       \
	"\45\0\0\1" low second third high "\0\0\0\1\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
	"\0\0\0\0\0\0\0\0\0"                                                        \
	"root\0"
#define RESPONSE             RESPONSE_OF("\1", "\202", "\0", "\0")
#define RESPONSE_WITHOUT_EOF RESPONSE_OF("\1", "\202", "\0", "\1")
#define LOGGED_IN            "\7\0\0\2\0\0\0\2\0\0\0"
#define OK                   "\7\0\0\1\0\0\0\2\0\0\0"
#define PING                 "\1\0\0\0\16"
#define SELECT               "\11\0\0\0\3select 1"
#define COUNT                "\1\0\0\1\1"
#define COLUMN               "\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3\201\0\0\0\0"
#define CLOSE                "\5\0\0\0\31\0\0\0\0"

/* MariaDB's client: what it has already of a result's form is told to it. */
static const struct run mariadb[] = {
	FROM_SERVER("d\0\0\0\0125.5.5-10.11.19-MariaDB-0+deb12u1\0\3\0\0\09vj3[SmK\0\376\367\10\2"
		    "\0\377\201\25\0\0\0\0\0\0\35\0\0\0md/ZY/{Aq7]M\0mysql_native_password\0"),
	FROM_CLIENT("\273\0\0\1\204\242\277\0\0\0\20\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\35"
		    "\0\0\0root\0\0mysql_native_password\0~\3_os\5Linux\14_client_name\12libmaria"
		    "db\4_pid\0047572\17_client_version\0063.3.20\11_platform\6x86_64\14program_n"
		    "ame\5mysql\14_server_host\011127.0.0.1"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
	FROM_CLIENT("\22\0\0\0\3create database d"),
	FROM_SERVER("\7\0\0\1\0\1\0\2\0\0\0"),
	FROM_CLIENT("\22\0\0\0\3SELECT DATABASE()"),
	FROM_SERVER("\2\0\0\1\1\1!\0\0\2\3def\0\0\0\12DATABASE()\0\0\14!\0\300\0\0\0\375\0\0'\0\0"
		    "\5\0\0\3\376\0\0\2\0\1\0\0\4\373\5\0\0\5\376\0\0\2\0"),
	FROM_CLIENT("\2\0\0\0\2d"),
	FROM_SERVER("\15\0\0\1\0\0\0\2@\0\0\0\4\1\2\1d"),
	FROM_CLIENT("+\0\0\0\3create table t (a int primary key, b text)"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("(\0\0\0\3insert into t values (1,'one'),(2,null)"),
	FROM_SERVER(".\0\0\1\0\2\0\2\0\0\0&Records: 2  Duplicates: 0  Warnings: 0"),
	FROM_CLIENT("\20\0\0\0\3select * from t"),
	FROM_SERVER("\2\0\0\1\2\1\34\0\0\2\3def\1d\1t\1t\1a\1a\0\14?\0\13\0\0\0\3\3P\0\0\0\34\0\0"
		    "\3\3def\1d\1t\1t\1b\1b\0\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\4\376\0\0\""
		    "\0\6\0\0\5\0011\3one\3\0\0\6\0012\373\5\0\0\7\376\0\0\"\0"),
	FROM_CLIENT("\26\0\0\0\3select * from nowhere"),
	FROM_SERVER("(\0\0\1\377z\4#42S02Table 'd.nowhere' doesn't exist"),
	FROM_CLIENT("\6\0\0\0\3begin"),
	FROM_SERVER("\7\0\0\1\0\0\0\3\0\0\0"),
	FROM_CLIENT("\35\0\0\0\3update t set b='x' where a=1"),
	FROM_SERVER("0\0\0\1\0\1\0\3\0\0\0(Rows matched: 1  Changed: 1  Warnings: 0"),
	FROM_CLIENT("\20\0\0\0\3select b from t"),
	FROM_SERVER("\2\0\0\1\1\1\34\0\0\2\3def\1d\1t\1t\1b\1b\0\14!\0\375\377\2\0\374\20\0\0\0\0"
		    "\5\0\0\3\376\0\0#\0\2\0\0\4\1x\1\0\0\5\373\5\0\0\6\376\0\0#\0"),
	FROM_CLIENT("\11\0\0\0\3rollback"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\30\0\0\0\3alter table t add c int"),
	FROM_SERVER(".\0\0\1\0\0\0\2\0\0\0&Records: 0  Duplicates: 0  Warnings: 0"),
	FROM_CLIENT("+\0\0\0\3prepare p from 'select a from t where a=?'"),
	FROM_SERVER("\32\0\0\1\0\0\0\2\0\0\0\22Statement prepared"),
	FROM_CLIENT("\11\0\0\0\3set @x=1"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\23\0\0\0\3execute p using @x"),
	FROM_SERVER("\2\0\0\1\1\1\34\0\0\2\3def\1d\1t\1t\1a\1a\0\14?\0\13\0\0\0\3\3P\0\0\0\5\0\0"
		    "\3\376\0\0\2\0\2\0\0\4\0011\5\0\0\5\376\0\0\2\0"),
	FROM_CLIENT("3\0\0\0\3create procedure q() begin select 1; select 2; end"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\11\0\0\0\3call q()"),
	FROM_SERVER("\2\0\0\1\1\1\30\0\0\2\3def\0\0\0\0011\0\0\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0"
		    "\3\376\0\0\12\0\2\0\0\4\0011\5\0\0\5\376\0\0\12\0\2\0\0\6\1\1\30\0\0\7\3def"
		    "\0\0\0\0012\0\0\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0\10\376\0\0\12\0\2\0\0\11"
		    "\0012\5\0\0\12\376\0\0\12\0\7\0\0\13\0\0\0\2\0\0\0"),
};

/* Prepared statements with parameters, twice; a cursor, fetched from; long data; three commands in
 * flight; three results of one query; statistics, fields, an error. */
static const struct run with_eof[] = {
	FROM_SERVER("d\0\0\0\0125.5.5-10.11.19-MariaDB-0+deb12u1\0\6\0\0\0O's3?$3r\0\376\367\10\2"
		    "\0\377\201\25\0\0\0\0\0\0\35\0\0\0h4f&*?=VvrXC\0mysql_native_password\0"),
	FROM_CLIENT(">\0\0\1\11\242\13\0\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ro"
		    "ot\0\0d\0mysql_native_password\0"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
	FROM_CLIENT("(\0\0\0\26select a,b from t where a>=? and a<?+10"),
	FROM_SERVER("\14\0\0\1\0\10\0\0\0\2\0\2\0\0\0\0\27\0\0\2\3def\0\0\0\1?\0\14?\0\0\0\0\0\6"
		    "\200\0\0\0\0\27\0\0\3\3def\0\0\0\1?\0\14?\0\0\0\0\0\6\200\0\0\0\0\5\0\0\4"
		    "\376\0\0\2\0\33\0\0\5\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\6"
		    "\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\7\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\10\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\3\3"
		    "def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\4\376\0\0\2\0\12\0"
		    "\0\5\0\0\1\0\0\0\3one\6\0\0\6\0\10\2\0\0\0\5\0\0\7\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\10\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\3\3"
		    "def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\4\376\0\0\2\0\12\0"
		    "\0\5\0\0\1\0\0\0\3one\6\0\0\6\0\10\2\0\0\0\5\0\0\7\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\10\0\0\0\1\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\1\20\0\0\0\33\0\0\3"
		    "\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\4\376\0\0B\0"),
	FROM_CLIENT("\11\0\0\0\34\10\0\0\0\1\0\0\0"),
	FROM_SERVER("\12\0\0\1\0\0\1\0\0\0\3one\5\0\0\2\376\0\0B\0"),
	FROM_CLIENT("\11\0\0\0\34\10\0\0\0\12\0\0\0"),
	FROM_SERVER("\6\0\0\1\0\10\2\0\0\0\5\0\0\2\376\0\0\202\0"),
	FROM_CLIENT("\11\0\0\0\30\10\0\0\0\1\0zz\5\0\0\0\32\10\0\0\0"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\5\0\0\0\31\10\0\0\0\5\0\0\0\26do 1"),
	FROM_SERVER("\14\0\0\1\0\11\0\0\0\0\0\0\0\0\0\0"),
	FROM_CLIENT("\1\0\0\0\16\11\0\0\0\3select 1\1\0\0\0\16"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0\1\0\0\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3"
		    "\201\0\0\0\0\5\0\0\3\376\0\0\2\0\2\0\0\4\0011\5\0\0\5\376\0\0\2\0\7\0\0\1\0"
		    "\0\0\2\0\0\0"),
	FROM_CLIENT("\3\0\0\0\33\0\0"),
	FROM_SERVER("\5\0\0\1\376\0\0\2\0"),
	FROM_CLIENT("0\0\0\0\3select 1; update t set b=1 where a=99; select 2"),
	FROM_SERVER("\1\0\0\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0\3"
		    "\376\0\0\12\0\2\0\0\4\0011\5\0\0\5\376\0\0\12\0000\0\0\6\0\0\0\12\0\0\0(Rows"
		    " matched: 0  Changed: 0  Warnings: 0\1\0\0\7\1\27\0\0\10\3def\0\0\0\0012\0"
		    "\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0\11\376\0\0\2\0\2\0\0\12\0012\5\0\0\13\376"
		    "\0\0\2\0"),
	FROM_CLIENT("\1\0\0\0\11"),
	FROM_SERVER("r\0\0\1Uptime: 256  Threads: 1  Questions: 74  Slow queries: 0  Opens: 23  O"
		    "pen tables: 15  Queries per second avg: 0.289"),
	FROM_CLIENT("\3\0\0\0\4t\0"),
	FROM_SERVER("\35\0\0\1\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\0010\34\0\0\2\3def\1"
		    "d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\373\34\0\0\3\3def\1d\1t\1t\1c"
		    "\1c\14?\0\13\0\0\0\3\0\0\0\0\0\373\5\0\0\4\376\0\0\2\0"),
	FROM_CLIENT("\1\0\0\0\15"),
	FROM_SERVER("\5\0\0\1\376\0\0\2\0"),
	FROM_CLIENT("\7\0\0\0\26select"),
	FROM_SERVER("\235\0\0\1\377(\4#42000You have an error in your SQL syntax; check the manua"
		    "l that corresponds to your MariaDB server version for the right syntax to us"
		    "e near '' at line 1"),
	FROM_CLIENT("\1\0\0\0\37"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
};

/* The same where the end of a result is an OK. */
static const struct run without_eof[] = {
	FROM_SERVER("d\0\0\0\0125.5.5-10.11.19-MariaDB-0+deb12u1\0\4\0\0\097F;56Qs\0\376\367\10\2"
		    "\0\377\201\25\0\0\0\0\0\0\35\0\0\0nQ*zLLw5@#+O\0mysql_native_password\0"),
	FROM_CLIENT(">\0\0\1\11\242\13\1\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ro"
		    "ot\0\0d\0mysql_native_password\0"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
	FROM_CLIENT("(\0\0\0\26select a,b from t where a>=? and a<?+10"),
	FROM_SERVER("\14\0\0\1\0\2\0\0\0\2\0\2\0\0\0\0\27\0\0\2\3def\0\0\0\1?\0\14?\0\0\0\0\0\6"
		    "\200\0\0\0\0\27\0\0\3\3def\0\0\0\1?\0\14?\0\0\0\0\0\6\200\0\0\0\0\33\0\0\4\3"
		    "def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\5\3def\1d\1t\1t\1b\1b\14"
		    "!\0\375\377\2\0\374\20\0\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\2\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\3\3"
		    "def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\12\0\0\4\0\0\1\0\0\0\3on"
		    "e\6\0\0\5\0\10\2\0\0\0\7\0\0\6\376\0\0\2\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\2\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\3\3"
		    "def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\12\0\0\4\0\0\1\0\0\0\3on"
		    "e\6\0\0\5\0\10\2\0\0\0\7\0\0\6\376\0\0\2\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\2\0\0\0\1\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\1\0\0\1\2\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\1\20\0\0\0\33\0\0\3"
		    "\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\7\0\0\4\376\0\0B\0\0\0"),
	FROM_CLIENT("\11\0\0\0\34\2\0\0\0\1\0\0\0"),
	FROM_SERVER("\12\0\0\1\0\0\1\0\0\0\3one\7\0\0\2\376\0\0B\0\0\0"),
	FROM_CLIENT("\11\0\0\0\34\2\0\0\0\12\0\0\0"),
	FROM_SERVER("\6\0\0\1\0\10\2\0\0\0\7\0\0\2\376\0\0\202\0\0\0"),
	FROM_CLIENT("\11\0\0\0\30\2\0\0\0\1\0zz\5\0\0\0\32\2\0\0\0"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\5\0\0\0\31\2\0\0\0\5\0\0\0\26do 1"),
	FROM_SERVER("\14\0\0\1\0\3\0\0\0\0\0\0\0\0\0\0"),
	FROM_CLIENT("\1\0\0\0\16\11\0\0\0\3select 1\1\0\0\0\16"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0\1\0\0\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3"
		    "\201\0\0\0\0\2\0\0\3\0011\7\0\0\4\376\0\0\2\0\0\0\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\3\0\0\0\33\0\0"),
	FROM_SERVER("\7\0\0\1\376\0\0\2\0\0\0"),
	FROM_CLIENT("0\0\0\0\3select 1; update t set b=1 where a=99; select 2"),
	FROM_SERVER("\1\0\0\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3\201\0\0\0\0\2\0\0\3"
		    "\0011\7\0\0\4\376\0\0\12\0\0\0000\0\0\5\0\0\0\12\0\0\0(Rows matched: 0  Chan"
		    "ged: 0  Warnings: 0\1\0\0\6\1\27\0\0\7\3def\0\0\0\0012\0\14?\0\1\0\0\0\3\201"
		    "\0\0\0\0\2\0\0\10\0012\7\0\0\11\376\0\0\2\0\0\0"),
	FROM_CLIENT("\1\0\0\0\11"),
	FROM_SERVER("r\0\0\1Uptime: 226  Threads: 1  Questions: 36  Slow queries: 0  Opens: 23  O"
		    "pen tables: 15  Queries per second avg: 0.159"),
	FROM_CLIENT("\3\0\0\0\4t\0"),
	FROM_SERVER("\35\0\0\1\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\0010\34\0\0\2\3def\1"
		    "d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\373\34\0\0\3\3def\1d\1t\1t\1c"
		    "\1c\14?\0\13\0\0\0\3\0\0\0\0\0\373\7\0\0\4\376\0\0\2\0\0\0"),
	FROM_CLIENT("\1\0\0\0\15"),
	FROM_SERVER("\7\0\0\1\376\0\0\2\0\0\0"),
	FROM_CLIENT("\7\0\0\0\26select"),
	FROM_SERVER("\235\0\0\1\377(\4#42000You have an error in your SQL syntax; check the manua"
		    "l that corresponds to your MariaDB server version for the right syntax to us"
		    "e near '' at line 1"),
	FROM_CLIENT("\1\0\0\0\37"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
};

/* And where columns that are known are not sent again. */
static const struct run cached_with_eof[] = {
	FROM_SERVER("d\0\0\0\0125.5.5-10.11.19-MariaDB-0+deb12u1\0\7\0\0\0=v\\I8{(O\0\376\367\10"
		    "\2\0\377\201\25\0\0\0\0\0\0\35\0\0\0006_[-iO-1P!PR\0mysql_native_password\0"),
	FROM_CLIENT(">\0\0\1\10\242\13\0\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\21\0\0\0r"
		    "oot\0\0d\0mysql_native_password\0"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
	FROM_CLIENT("(\0\0\0\26select a,b from t where a>=? and a<?+10"),
	FROM_SERVER("\14\0\0\1\0\13\0\0\0\2\0\2\0\0\0\0\27\0\0\2\3def\0\0\0\1?\0\14?\0\0\0\0\0\6"
		    "\200\0\0\0\0\27\0\0\3\3def\0\0\0\1?\0\14?\0\0\0\0\0\6\200\0\0\0\0\5\0\0\4"
		    "\376\0\0\2\0\33\0\0\5\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\6"
		    "\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\7\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\13\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\0\5\0\0\2\376\0\0\2\0\12\0\0\3\0\0\1\0\0\0\3one\6\0\0\4\0\10\2\0"
		    "\0\0\5\0\0\5\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\13\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\0\5\0\0\2\376\0\0\2\0\12\0\0\3\0\0\1\0\0\0\3one\6\0\0\4\0\10\2\0"
		    "\0\0\5\0\0\5\376\0\0\2\0"),
	FROM_CLIENT("\30\0\0\0\27\13\0\0\0\1\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\1\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\1\20\0\0\0\33\0\0"
		    "\3\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\5\0\0\4\376\0\0B\0"),
	FROM_CLIENT("\11\0\0\0\34\13\0\0\0\1\0\0\0"),
	FROM_SERVER("\12\0\0\1\0\0\1\0\0\0\3one\5\0\0\2\376\0\0B\0"),
	FROM_CLIENT("\11\0\0\0\34\13\0\0\0\12\0\0\0"),
	FROM_SERVER("\6\0\0\1\0\10\2\0\0\0\5\0\0\2\376\0\0\202\0"),
	FROM_CLIENT("\11\0\0\0\30\13\0\0\0\1\0zz\5\0\0\0\32\13\0\0\0"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\5\0\0\0\31\13\0\0\0\5\0\0\0\26do 1"),
	FROM_SERVER("\14\0\0\1\0\14\0\0\0\0\0\0\0\0\0\0"),
	FROM_CLIENT("\1\0\0\0\16\11\0\0\0\3select 1\1\0\0\0\16"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0\2\0\0\1\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0"
		    "\3\201\0\0\0\0\5\0\0\3\376\0\0\2\0\2\0\0\4\0011\5\0\0\5\376\0\0\2\0\7\0\0\1"
		    "\0\0\0\2\0\0\0"),
	FROM_CLIENT("\3\0\0\0\33\0\0"),
	FROM_SERVER("\5\0\0\1\376\0\0\2\0"),
	FROM_CLIENT("0\0\0\0\3select 1; update t set b=1 where a=99; select 2"),
	FROM_SERVER("\2\0\0\1\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0\3"
		    "\376\0\0\12\0\2\0\0\4\0011\5\0\0\5\376\0\0\12\0000\0\0\6\0\0\0\12\0\0\0(Rows"
		    " matched: 0  Changed: 0  Warnings: 0\2\0\0\7\1\1\27\0\0\10\3def\0\0\0\0012\0"
		    "\14?\0\1\0\0\0\3\201\0\0\0\0\5\0\0\11\376\0\0\2\0\2\0\0\12\0012\5\0\0\13\376"
		    "\0\0\2\0"),
	FROM_CLIENT("\1\0\0\0\11"),
	FROM_SERVER("r\0\0\1Uptime: 260  Threads: 1  Questions: 93  Slow queries: 0  Opens: 23  O"
		    "pen tables: 15  Queries per second avg: 0.357"),
	FROM_CLIENT("\3\0\0\0\4t\0"),
	FROM_SERVER("\35\0\0\1\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\0010\34\0\0\2\3def\1"
		    "d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\373\34\0\0\3\3def\1d\1t\1t\1c"
		    "\1c\14?\0\13\0\0\0\3\0\0\0\0\0\373\5\0\0\4\376\0\0\2\0"),
	FROM_CLIENT("\1\0\0\0\15"),
	FROM_SERVER("\5\0\0\1\376\0\0\2\0"),
	FROM_CLIENT("\7\0\0\0\26select"),
	FROM_SERVER("\235\0\0\1\377(\4#42000You have an error in your SQL syntax; check the manua"
		    "l that corresponds to your MariaDB server version for the right syntax to us"
		    "e near '' at line 1"),
	FROM_CLIENT("\1\0\0\0\37"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
};
static const struct run cached_without_eof[] = {
	FROM_SERVER("d\0\0\0\0125.5.5-10.11.19-MariaDB-0+deb12u1\0\5\0\0\0005Me5urZM\0\376\367\10"
		    "\2\0\377\201\25\0\0\0\0\0\0\35\0\0\0P+%uB(AL=-e9\0mysql_native_password\0"),
	FROM_CLIENT(">\0\0\1\10\242\13\1\0\0\0\1!\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\21\0\0\0r"
		    "oot\0\0d\0mysql_native_password\0"),
	FROM_SERVER("\7\0\0\2\0\0\0\2\0\0\0"),
	FROM_CLIENT("(\0\0\0\26select a,b from t where a>=? and a<?+10"),
	FROM_SERVER("\14\0\0\1\0\5\0\0\0\2\0\2\0\0\0\0\27\0\0\2\3def\0\0\0\1?\0\14?\0\0\0\0\0\6"
		    "\200\0\0\0\0\27\0\0\3\3def\0\0\0\1?\0\14?\0\0\0\0\0\6\200\0\0\0\0\33\0\0\4\3"
		    "def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\33\0\0\5\3def\1d\1t\1t\1b\1b\14"
		    "!\0\375\377\2\0\374\20\0\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\5\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\0\12\0\0\2\0\0\1\0\0\0\3one\6\0\0\3\0\10\2\0\0\0\7\0\0\4\376\0\0"
		    "\2\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\5\0\0\0\0\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\0\12\0\0\2\0\0\1\0\0\0\3one\6\0\0\3\0\10\2\0\0\0\7\0\0\4\376\0\0"
		    "\2\0\0\0"),
	FROM_CLIENT("\30\0\0\0\27\5\0\0\0\1\1\0\0\0\0\1\3\0\3\0\0\0\0\0\0\0\0\0"),
	FROM_SERVER("\2\0\0\1\2\1\33\0\0\2\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\1\20\0\0\0\33\0\0"
		    "\3\3def\1d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\7\0\0\4\376\0\0B\0\0"
		    "\0"),
	FROM_CLIENT("\11\0\0\0\34\5\0\0\0\1\0\0\0"),
	FROM_SERVER("\12\0\0\1\0\0\1\0\0\0\3one\7\0\0\2\376\0\0B\0\0\0"),
	FROM_CLIENT("\11\0\0\0\34\5\0\0\0\12\0\0\0"),
	FROM_SERVER("\6\0\0\1\0\10\2\0\0\0\7\0\0\2\376\0\0\202\0\0\0"),
	FROM_CLIENT("\11\0\0\0\30\5\0\0\0\1\0zz\5\0\0\0\32\5\0\0\0"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\5\0\0\0\31\5\0\0\0\5\0\0\0\26do 1"),
	FROM_SERVER("\14\0\0\1\0\6\0\0\0\0\0\0\0\0\0\0"),
	FROM_CLIENT("\1\0\0\0\16\11\0\0\0\3select 1\1\0\0\0\16"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0\2\0\0\1\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0"
		    "\3\201\0\0\0\0\2\0\0\3\0011\7\0\0\4\376\0\0\2\0\0\0\7\0\0\1\0\0\0\2\0\0\0"),
	FROM_CLIENT("\3\0\0\0\33\0\0"),
	FROM_SERVER("\7\0\0\1\376\0\0\2\0\0\0"),
	FROM_CLIENT("0\0\0\0\3select 1; update t set b=1 where a=99; select 2"),
	FROM_SERVER("\2\0\0\1\1\1\27\0\0\2\3def\0\0\0\0011\0\14?\0\1\0\0\0\3\201\0\0\0\0\2\0\0\3"
		    "\0011\7\0\0\4\376\0\0\12\0\0\0000\0\0\5\0\0\0\12\0\0\0(Rows matched: 0  Chan"
		    "ged: 0  Warnings: 0\2\0\0\6\1\1\27\0\0\7\3def\0\0\0\0012\0\14?\0\1\0\0\0\3"
		    "\201\0\0\0\0\2\0\0\10\0012\7\0\0\11\376\0\0\2\0\0\0"),
	FROM_CLIENT("\1\0\0\0\11"),
	FROM_SERVER("r\0\0\1Uptime: 230  Threads: 1  Questions: 55  Slow queries: 0  Opens: 23  O"
		    "pen tables: 15  Queries per second avg: 0.239"),
	FROM_CLIENT("\3\0\0\0\4t\0"),
	FROM_SERVER("\35\0\0\1\3def\1d\1t\1t\1a\1a\14?\0\13\0\0\0\3\3P\0\0\0\0010\34\0\0\2\3def\1"
		    "d\1t\1t\1b\1b\14!\0\375\377\2\0\374\20\0\0\0\0\373\34\0\0\3\3def\1d\1t\1t\1c"
		    "\1c\14?\0\13\0\0\0\3\0\0\0\0\0\373\7\0\0\4\376\0\0\2\0\0\0"),
	FROM_CLIENT("\1\0\0\0\15"),
	FROM_SERVER("\7\0\0\1\376\0\0\2\0\0\0"),
	FROM_CLIENT("\7\0\0\0\26select"),
	FROM_SERVER("\235\0\0\1\377(\4#42000You have an error in your SQL syntax; check the manua"
		    "l that corresponds to your MariaDB server version for the right syntax to us"
		    "e near '' at line 1"),
	FROM_CLIENT("\1\0\0\0\37"),
	FROM_SERVER("\7\0\0\1\0\0\0\2\0\0\0"),
};

static void a_session_is_left_whole(void **state)
{
	static const struct recording recordings[] = {
		{ &settings, SERVER, RUNS(mariadb), NULL, 0, 18 },
		{ &settings, SERVER, RUNS(with_eof), NULL, 0, 19 },
		{ &settings, SERVER, RUNS(without_eof), NULL, 0, 19 },
		{ &settings, SERVER, RUNS(cached_with_eof), NULL, 0, 19 },
		{ &settings, SERVER, RUNS(cached_without_eof), NULL, 0, 19 },
	};

	(void)state;
	check_recordings(ALL(recordings));
}

static void started(struct talk *talk)
{
	talk_start(talk, &settings, SERVER);
}

static void greeted(struct talk *talk)
{
	started(talk);
	SAYS(talk, SERVER, GREETING);
}

static void responded(struct talk *talk)
{
	greeted(talk);
	SAYS(talk, CLIENT, RESPONSE);
}

static void logged_in(struct talk *talk)
{
	responded(talk);
	SAYS(talk, SERVER, LOGGED_IN);
	assert_true(talk_may(talk));
}

static void queried(struct talk *talk)
{
	logged_in(talk);
	SAYS(talk, CLIENT, SELECT);
}

static void queried_without_eof(struct talk *talk)
{
	greeted(talk);
	SAYS(talk, CLIENT, RESPONSE_WITHOUT_EOF);
	SAYS(talk, SERVER, LOGGED_IN);
	SAYS(talk, CLIENT, SELECT);
}

/* The login may take several steps, and another method. */
static void not_before_the_login(void **state)
{
	struct talk talk;

	(void)state;
	talk_start(&talk, &settings, SERVER);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, GREETING);
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, RESPONSE);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\2\376other\0");
	SAYS(&talk, CLIENT, "\2\0\0\3ab");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\2\0\0\4\1\3");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\5\0\0\0\2\0\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\0");
	PROBES(&talk, CLOSE);
	talk_is_whole(&talk);
}

static void not_within_a_command(void **state)
{
	struct talk talk;

	(void)state;
	logged_in(&talk);
	SAYS(&talk, CLIENT, "\6");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0\0\0\31\1\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, CLIENT, "\0\0\0");
	PROBES(&talk, CLOSE); /* that was one without an answer */
	talk_is_whole(&talk);
}

/* The whole answer must have come: it could be a request for a file. */
static void not_while_a_command_waits(void **state)
{
	struct talk talk;

	(void)state;
	logged_in(&talk);
	SAYS(&talk, CLIENT, SELECT);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, COUNT COLUMN);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\5\0\0\3\376\0\0\2\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\2\0\0\4\0011");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\5\0\0\5\376\0\0\12\0"); /* more results */
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\6\0\0\0\2\0\0");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\0");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, PING PING);
	SAYS(&talk, SERVER, OK);
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, OK);
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

/* An error ends an answer, at its beginning and among its rows; a progress report does not. */
static void errors_end_answers(void **state)
{
	struct talk talk;

	(void)state;
	logged_in(&talk);
	SAYS(&talk, CLIENT, SELECT);
	SAYS(&talk, SERVER, "\11\0\0\1\377\50\4#42000");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, SELECT);
	SAYS(&talk, SERVER, COUNT COLUMN "\5\0\0\3\376\0\0\2\0\2\0\0\4\0011");
	SAYS(&talk, SERVER, "\11\0\0\5\377\50\4#42000");
	assert_true(talk_may(&talk));
	SAYS(&talk, CLIENT, SELECT);
	SAYS(&talk, SERVER, "\11\0\0\1\377\377\377\1\1\1abc"); /* not agreed on */
	assert_true(talk_is_off(&talk));

	greeted(&talk);
	SAYS(&talk, CLIENT,
	     "\45\0\0\1\0\202\0\0\0\0\0\1\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0root\0");
	SAYS(&talk, SERVER, LOGGED_IN);
	SAYS(&talk, CLIENT, SELECT);
	SAYS(&talk, SERVER, "\11\0\0\1\377\377\377\1\1\1abc");
	assert_false(talk_is_off(&talk));
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\2\0\0\0\2\0\0\0");
	assert_true(talk_may(&talk));
	talk_is_whole(&talk);
}

/* A query of 16 MiB and more comes in parts; each part but the last has the largest size. */
static void a_command_in_parts(void **state)
{
	static unsigned char chunk[4096];
	struct talk talk;
	size_t left = 0xffffff - 1;

	(void)state;
	logged_in(&talk);
	SAYS(&talk, CLIENT, "\377\377\377\0\3");
	while (left > 0) {
		size_t size = left < sizeof chunk ? left : sizeof chunk;
		unsigned char *at;
		size_t swallowed;
		unsigned char room[PROBE_HELD_MAX + sizeof chunk] = { 0 };

		assert_int_equal(probe_take(&talk.probe, &settings, CLIENT, room + PROBE_HELD_MAX,
					    size, &at, &swallowed),
				 size);
		left -= size;
		assert_false(talk_may(&talk));
	}
	assert_false(talk_is_off(&talk));
	SAYS(&talk, CLIENT, "\1\0\0\1x");
	assert_false(talk_may(&talk));
	SAYS(&talk, SERVER, "\7\0\0\2\0\0\0\2\0\0\0");
	assert_true(talk_may(&talk));
}

static void no_more_commands_in_flight_than_remembered(void **state)
{
	struct talk talk;

	(void)state;
	logged_in(&talk);
	for (int i = 0; i < 16; i++)
		SAYS(&talk, CLIENT, PING);
	assert_false(talk_is_off(&talk));
	for (int i = 0; i < 16; i++) {
		assert_false(talk_may(&talk));
		SAYS(&talk, SERVER, OK);
	}
	assert_true(talk_may(&talk));
	for (int i = 0; i < 17; i++)
		SAYS(&talk, CLIENT, PING);
	assert_true(talk_is_off(&talk));
	talk_is_whole(&talk);
}

static void never_towards_the_client(void **state)
{
	struct talk talk;

	(void)state;
	assert_true(probe_protocol_goes_to(PROBE_MYSQL, SERVER));
	assert_false(probe_protocol_goes_to(PROBE_MYSQL, CLIENT));
	talk_start(&talk, &settings, CLIENT);
	SAYS(&talk, SERVER, GREETING);
	SAYS(&talk, CLIENT, RESPONSE);
	SAYS(&talk, SERVER, LOGGED_IN);
	assert_false(talk_is_off(&talk));
	assert_false(talk_may(&talk));
}

static void not_after_an_end(void **state)
{
	(void)state;
	check_not_after_an_end(logged_in);
}

static const struct misfit misfits[] = {
	{ started, FROM(CLIENT, "\26\3\1\2\0\1\0\1\374\3\3") },
	{ started, FROM(CLIENT, PING) },
	{ started, FROM(SERVER, "\27\0\0\0\377\20\4Too many connections") },
	{ started, FROM(SERVER, "\12\0\0\0\0125.7\0\1\0\0\0\0") },
	{ started, FROM(SERVER, "\12\0\0\1\012") },
	{ greeted, FROM(SERVER, GREETING) },
	/* TLS; compression, twice; an old login; metadata left out; cut short */
	{ greeted, FROM(CLIENT, "\40\0\0\1\1\212\0\0\0\0\0\1\10\0\0\0\0\0\0\0\0\0\0\0\0\0"
				"\0\0\0\0\0\0\0\0\0\0") },
	{ greeted, FROM(CLIENT, RESPONSE_OF("\41", "\202", "\0", "\0")) },
	{ greeted, FROM(CLIENT, RESPONSE_OF("\1", "\202", "\0", "\4")) },
	{ greeted, FROM(CLIENT, RESPONSE_OF("\1", "\202", "\0", "\2")) },
	{ greeted, FROM(CLIENT, RESPONSE_OF("\1", "\200", "\0", "\0")) },
	{ greeted, FROM(CLIENT, "\5\0\0\1\1\202\0\0\0") },
	{ responded, FROM(SERVER, "\11\0\0\2\377\25\4#28000") },
	{ responded, FROM(SERVER, "\7\0\0\2\0\1\0\2\0\0\0") }, /* an OK of rows */
	{ responded, FROM(SERVER, OK) },                       /* counts wrong */
	{ responded, FROM(CLIENT, PING) },
	{ logged_in, FROM(SERVER, OK) }, /* that nobody asked for */
	{ logged_in, FROM(CLIENT, "\1\0\0\1\16") },
	{ logged_in, FROM(CLIENT, "\0\0\0\0") },
	{ logged_in, FROM(CLIENT, "\1\0\0\0\1") },        /* quit */
	{ logged_in, FROM(CLIENT, "\6\0\0\0\21root\0") }, /* change of user */
	{ logged_in, FROM(CLIENT, "\2\0\0\0\22a") },      /* binlog dump */
	{ logged_in, FROM(CLIENT, "\2\0\0\0\25a") },      /* register slave */
	{ logged_in, FROM(CLIENT, "\2\0\0\0\36a") },      /* binlog dump by GTID */
	{ logged_in, FROM(CLIENT, "\2\0\0\0\376a") },     /* several in one */
	{ queried, FROM(SERVER, "\5\0\0\1\373file") },    /* LOCAL INFILE */
	{ queried, FROM(SERVER, "\7\0\0\0\0\0\0\2\0\0\0") },
	{ queried, FROM(SERVER, "\2\0\0\1\1\1") },
	{ queried, FROM(SERVER, "\2\0\0\1\0\0") },
	{ queried, FROM(SERVER, "\4\0\0\1\375\1\0\0") }, /* 65536 columns and more */
	{ queried, FROM(SERVER, "\0\0\0\1") },
	{ queried, FROM(SERVER, COUNT "\27\0\0\3") }, /* counts wrong */
	{ queried, FROM(SERVER, COUNT "\5\0\0\2\376\0\0\2\0") },
	{ queried, FROM(SERVER, COUNT COLUMN "\2\0\0\3\0011") },
	{ queried, FROM(SERVER, COUNT COLUMN "\5\0\0\3\376\0\0\102\0") }, /* a cursor */
	{ queried, FROM(SERVER, COUNT COLUMN "\5\0\0\3\376\0\0\2\0\6\0\0\4\376\0\0\2\0\0") },
	{ queried_without_eof, FROM(SERVER, COUNT COLUMN "\5\0\0\3\376\0\0\2\0") },
};

static void what_does_not_fit_ends_it(void **state)
{
	(void)state;
	check_misfits(ALL(misfits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_left_whole),
		cmocka_unit_test(not_before_the_login),
		cmocka_unit_test(not_within_a_command),
		cmocka_unit_test(not_while_a_command_waits),
		cmocka_unit_test(errors_end_answers),
		cmocka_unit_test(a_command_in_parts),
		cmocka_unit_test(no_more_commands_in_flight_than_remembered),
		cmocka_unit_test(never_towards_the_client),
		cmocka_unit_test(not_after_an_end),
		cmocka_unit_test(what_does_not_fit_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
