"""Trade bills (交易账单) and fund flow bills (资金账单): text files of one day and merchant. A file is written alike in
both generations; how it is fetched, and whether it can be believed as it is, is theirs."""
